"""What `heddle rules sync` would write: the block in AGENTS.md, a shim of one line where an agent needs one, and path-bound
rules compiled for agents that were asked for. What a person wrote is never part of it.
"""

import re
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass

from heddle.core.rules import block, markdown
from heddle.core.rules.files import CANONICAL, CLAUDE, GEMINI, GEMINI_SETTINGS, RuleFile
from heddle.core.rules.loading import Place, file_names, loaded_by

SHIM = f"@{CANONICAL}\n"

UNSEEN = "git ignores it, so no session would have it: take it out of what is ignored first"

NEEDS_SHIM = {
    "claude": (CLAUDE, "in a session of Heddle claude reads CLAUDE.md alone, by itself AGENTS.md only from 2.1.277 on"),
    "gemini": (GEMINI, "gemini reads GEMINI.md, and no settings of the repository in a session of Heddle"),
}
"""Agents that do not come by AGENTS.md without a file of their own, that file, and why."""

TARGETS = {
    "cursor": (".cursor/rules/{name}.mdc", "description: {name}\nglobs: {globs}\nalwaysApply: false"),
    "copilot": (".github/instructions/{name}.instructions.md", 'applyTo: "{globs}"'),
}
"""Agents that path-bound rules can be compiled for: where to, and the front matter."""

_SOURCE = re.compile(r"\.claude/rules/(.+)\.md")
_COMPILED = re.compile(r"<!-- compiled by heddle from (\S+) -->")


@dataclass(frozen=True, slots=True)
class Write:
    """A text for a path, and why. `before`: what the file holds now; None: it is not there."""

    path: str
    text: str
    why: str
    before: str | None


@dataclass(frozen=True, slots=True)
class Left:
    """A file that is left as it is although something is amiss, and why."""

    path: str
    why: str


@dataclass(frozen=True, slots=True)
class SyncPlan:
    """All that is to be written, and what is left alone."""

    writes: tuple[Write, ...]
    left: tuple[Left, ...]


def plan(
    files: Sequence[RuleFile],
    paths: Collection[str],
    agents: Iterable[str],
    wanted: str,
    targets: Iterable[str] = (),
    ignored: Collection[str] = (),
) -> SyncPlan:
    """What to write for these agents, so that AGENTS.md holds the `wanted` block and each of them reads it.

    `paths`: what is there already; `ignored`: what git ignores, or would. Raises UserError(slug="broken-fence").
    """
    found = [
        *_canonical(files, wanted),
        *(one for agent in agents if agent in NEEDS_SHIM for one in _shim(agent, files)),
        *(one for target in targets for one in _compiled(target, files, paths)),
    ]
    found = [Left(one.path, UNSEEN) if one.path in ignored else one for one in found]
    writes = tuple(one for one in found if isinstance(one, Write) and one.text != one.before)
    return SyncPlan(writes, tuple(one for one in found if isinstance(one, Left)))


def _canonical(files: Iterable[RuleFile], wanted: str) -> Iterator[Write | Left]:
    file = next((one for one in files if one.path == CANONICAL), None)
    if file is None:
        yield Write(CANONICAL, block.with_block("", wanted), "it is the file that all agents share", None)
    elif file.link or file.trouble:
        yield Left(
            CANONICAL, file.trouble or f"it is a symbolic link to {file.link}: what it leads to is not ours to write"
        )
    else:
        yield Write(CANONICAL, block.with_block(file.text, wanted), "the block of Heddle", file.text)


def _shim(agent: str, files: Sequence[RuleFile]) -> Iterator[Write | Left]:
    path, why = NEEDS_SHIM[agent]
    by_path = {file.path: file for file in files if not file.ignored}
    there = next((name for name in (path, f".claude/{path}") if name in by_path), "")
    if not there:
        settings = by_path.get(GEMINI_SETTINGS)
        named = file_names(settings.text) if settings and agent == "gemini" else ()
        if {CANONICAL, GEMINI} <= set(named):
            yield Left(path, f"{GEMINI_SETTINGS} names both: with a shim gemini would load {CANONICAL} twice")
        else:
            yield Write(path, SHIM, why, None)
    elif not _reaches(agent, tuple(by_path.values()), by_path):
        yield Left(there, f"it does not import {CANONICAL}, and what is in it is yours: add the line {SHIM.strip()}")


def _reaches(agent: str, files: Sequence[RuleFile], by_path: dict[str, RuleFile]) -> bool:
    canonical = by_path.get(CANONICAL)
    heard = {by_path[one.path].real for one in loaded_by(agent, files, Place.SESSION) or ()}
    imported = {name for file in files for _, name in markdown.imports(file.text) if by_path[file.path].real in heard}
    return canonical.real in heard if canonical else CANONICAL in imported


def _compiled(target: str, files: Iterable[RuleFile], paths: Collection[str]) -> Iterator[Write | Left]:
    by_path = {file.path: file for file in files}
    for source in by_path.values():
        made = compiled(source, target)
        if made is None:
            continue
        path, text = made
        there = by_path.get(path)
        if there is None and path not in paths:
            yield Write(path, text, f"compiled from {source.path} for {target}", None)
        elif there is None or there.link or there.trouble or not _COMPILED.search(there.text):
            yield Left(path, f"it was not compiled by Heddle: {source.path} is not brought to {target}")
        else:
            yield Write(path, text, f"compiled from {source.path} for {target}", there.text)


def compiled(source: RuleFile, target: str) -> tuple[str, str] | None:
    """The path and the text of a path-bound rule for another agent; None when the file is no such rule."""
    name = _SOURCE.fullmatch(source.path)
    globs = markdown.front_matter(source.text).get("paths", ())
    if name is None or not globs or source.trouble or any(re.search(r"[\"\\\x00-\x1f]", glob) for glob in globs):
        return None
    place, front = TARGETS[target]
    body = "\n".join(source.text.splitlines()[_front_lines(source.text) :]).strip("\n")
    head = front.format(name=name[1], globs=",".join(globs))
    return place.format(name=name[1]), f"---\n{head}\n---\n<!-- compiled by heddle from {source.path} -->\n\n{body}\n"


def _front_lines(text: str) -> int:
    return sum(line.kind == "front" for line in markdown.lines(text))


def stale(files: Sequence[RuleFile]) -> Iterator[tuple[RuleFile, str, str]]:
    """Compiled files that are not what their source says now, each with the agent that it is for and what is wrong."""
    by_path = {file.path: file for file in files}
    for file in files:
        named = _COMPILED.search(file.text)
        target = next((target for target, (place, _) in TARGETS.items() if _fits(file.path, place)), "")
        if named is None or not target:
            continue
        source = by_path.get(named[1])
        if source is None:
            yield file, target, f"it was compiled from {named[1]}, which is not there any more"
        elif (file.path, file.text) != compiled(source, target):
            yield file, target, f"it is not what {named[1]} says now"


def _fits(path: str, place: str) -> bool:
    start, _, end = place.partition("{name}")
    return path.startswith(start) and path.endswith(end)
