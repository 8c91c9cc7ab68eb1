"""Which agent loads which file, and why: a table of what is known of each, and one reader of that table.

An agent behaves otherwise in a session of Heddle than by itself: Heddle keeps it from the repository's settings, and hands
it the rules in its own way. What is known of that was measured with the versions that Heddle is tested with.
"""

import json
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

from heddle.core.rules import markdown
from heddle.core.rules.files import (
    AIDER_SETTINGS,
    CANONICAL,
    CLAUDE,
    GEMINI,
    GEMINI_SETTINGS,
    OPENCODE_SETTINGS,
    RuleFile,
    joined,
)


class Place(StrEnum):
    """Where an agent runs: as a person starts it, or in a session of Heddle."""

    OWN = "own"
    SESSION = "session"


class When(StrEnum):
    """When a file is loaded."""

    START = "start"
    FOLDER = "folder"
    PATHS = "paths"
    CHOICE = "choice"


@dataclass(frozen=True, slots=True)
class Loading:
    """A file that an agent loads, when, and why."""

    agent: str
    path: str
    when: When
    why: str


@dataclass(frozen=True, slots=True)
class Source:
    """A rule of loading: of `names` the first that is there, in the top folder or (`everywhere`) in every one.

    `rules`: instead, every file below a folder, with the key of front matter that binds it to paths.
    `unless`: files that suppress it, in the same folder or above. `since`: the first version that does so.
    """

    names: tuple[str, ...] = ()
    why: str = "its own file"
    everywhere: bool = False
    rules: str = ""
    key: str = ""
    unless: tuple[str, ...] = ()
    since: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Habit:
    """All that is known of one agent. `hops`: how deep imports are followed; `budget`: bytes of all that it loads for one
    folder, the rest is cut (0: no such limit is known); `told`: where this knowledge is from.
    """

    sources: tuple[Source, ...]
    hops: int = 0
    budget: int = 0
    told: str = "by its documentation"


_OWN_CLAUDE = (
    Source((CLAUDE,), everywhere=True),
    Source((f".claude/{CLAUDE}",)),
    Source(("CLAUDE.local.md",), "the person's own, beside it"),
    Source(rules=r"\.claude/rules/.+\.md", key="paths"),
)

OWN: dict[str, Habit] = {
    "claude": Habit(
        (
            *_OWN_CLAUDE,
            Source(
                (CANONICAL,),
                "there is no CLAUDE.md on the way up",
                everywhere=True,
                unless=(CLAUDE, f".claude/{CLAUDE}"),
                since=(2, 1, 277),
            ),
        ),
        hops=4,
    ),
    "codex": Habit((Source(("AGENTS.override.md", CANONICAL), everywhere=True),), budget=32 * 1024),
    "gemini": Habit((Source((GEMINI,), everywhere=True),), hops=5),
    "agy": Habit((Source((CANONICAL,)), Source((GEMINI,))), hops=5, told="by reports of its users"),
    "cursor": Habit(
        (
            Source((CANONICAL,), everywhere=True),
            Source((".cursorrules",)),
            Source(rules=r"(?:.*/)?\.cursor/rules/.+\.mdc", key="globs"),
        ),
    ),
    "copilot": Habit(
        (
            Source((CANONICAL,), everywhere=True),
            Source((".github/copilot-instructions.md",)),
            Source(rules=r"\.github/instructions/.+\.instructions\.md", key="applyTo"),
        ),
    ),
    "opencode": Habit((Source((CANONICAL, CLAUDE)),)),
    "aider": Habit(()),
}

SESSION: dict[str, Habit] = {
    "claude": Habit(
        (
            Source((CLAUDE,), "loaded with the folder that Heddle hands it"),
            Source((f".claude/{CLAUDE}",), "loaded with the folder that Heddle hands it"),
            Source(rules=r"\.claude/rules/.+\.md", key="paths"),
        ),
        hops=4,
        told="by the known rules of claude 2.1.330 as Heddle starts it, not told by the agent",
    ),
    "codex": Habit(
        (Source((CANONICAL,), "Heddle's first words ask it to read this", everywhere=True),),
        told="by what Heddle asks of codex, not told by the agent",
    ),
    "gemini": Habit(
        (Source((GEMINI,), everywhere=True),),
        hops=5,
        told="by the known rules of gemini 0.61.0 as Heddle starts it, not told by the agent",
    ),
    "opencode": Habit(
        (Source((CANONICAL,), "Heddle names it in the session's settings"),),
        told="by what Heddle tells opencode to load, not told by the agent",
    ),
}

TABLES = {Place.OWN: OWN, Place.SESSION: SESSION}


def habit(agent: str, files: Iterable[RuleFile], place: Place = Place.OWN) -> Habit | None:
    """What is known of an agent in a repository with these files, whose settings may name others; None: nothing."""
    known = TABLES[place].get(agent)
    if known is None or place is Place.SESSION:
        return known
    texts = {file.path: file.text for file in files}
    more: tuple[Source, ...] = ()
    if agent == "gemini":
        return replace(known, sources=_gemini(texts.get(GEMINI_SETTINGS, "")) or known.sources)
    if agent == "opencode":
        named = _strings(_json(texts.get(OPENCODE_SETTINGS, "")).get("instructions"))
        more = tuple(Source((path,), f"named in {OPENCODE_SETTINGS}") for path in named)
    elif agent == "aider":
        named = _read_by_aider(texts.get(AIDER_SETTINGS, ""))
        more = tuple(Source((path,), f"named in {AIDER_SETTINGS}") for path in named)
    return replace(known, sources=(*known.sources, *more))


def file_names(settings: str) -> tuple[str, ...]:
    """What a .gemini/settings.json names as files of guidance; none when it names none or cannot be read."""
    context = _json(settings).get("context")
    return _strings(context.get("fileName")) if isinstance(context, dict) else ()


def _gemini(settings: str) -> tuple[Source, ...]:
    return tuple(Source((name,), f"named in {GEMINI_SETTINGS}", everywhere=True) for name in file_names(settings))


def _json(text: str) -> dict[str, object]:
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def _strings(value: object) -> tuple[str, ...]:
    values = value if isinstance(value, list) else [value]
    return tuple(one for one in values if isinstance(one, str) and one)


def _read_by_aider(settings: str) -> tuple[str, ...]:
    found = re.search(r"(?m)^read:[ \t]*(.*(?:\n[ \t]*- .*)*)", settings)
    return tuple(re.findall(r"[\w./-]*\w", re.sub(r"(?m)#.*$", "", found[1]))) if found else ()


def loaded_by(
    agent: str, files: Sequence[RuleFile], place: Place = Place.OWN, version: str = ""
) -> tuple[Loading, ...] | None:
    """Every file that the agent loads, in order, one entry for each way it comes by it; None when nothing is known of it.

    An unknown `version` counts as a new one.
    """
    known = habit(agent, files, place)
    if known is None:
        return None
    by_path = {file.path: file for file in files}
    found: list[Loading] = []
    for source in known.sources:
        if not source.since or not version or numbers(version) >= source.since:
            found += _from(agent, source, by_path)
    return tuple(one for first in found for one in (first, *_imported(first, by_path, known.hops)))


def numbers(version: str) -> tuple[int, ...]:
    """The numbers of a version, for comparing."""
    return tuple(int(part) for part in re.findall(r"\d+", version)[:3])


def _from(agent: str, source: Source, by_path: dict[str, RuleFile]) -> list[Loading]:
    if source.rules:
        matching = (file for path, file in sorted(by_path.items()) if re.fullmatch(source.rules, path))
        return [_scoped(agent, file, source.key) for file in matching]
    folders = {""} | ({file.folder for file in by_path.values()} if source.everywhere else set())
    found = []
    for folder in sorted(folders):
        path = next((path for name in source.names if (path := joined(folder, name)) in by_path), "")
        if path and not _suppressed(source, folder, by_path):
            when = When.FOLDER if folder else When.START
            found.append(Loading(agent, path, when, f"{source.why}, in {folder}/" if folder else source.why))
    return found


def _suppressed(source: Source, folder: str, by_path: dict[str, RuleFile]) -> bool:
    return any(joined(above, name) in by_path for above in upward(folder) for name in source.unless)


def upward(folder: str) -> tuple[str, ...]:
    """A folder and all above it, the top one ("") last."""
    parts = folder.split("/") if folder else []
    return tuple("/".join(parts[:count]) for count in range(len(parts), -1, -1))


def _scoped(agent: str, file: RuleFile, key: str) -> Loading:
    front = markdown.front_matter(file.text)
    globs = front.get(key, ())
    if "true" in front.get("alwaysApply", ()) or (not globs and key == "paths") or globs == ("**",):
        return Loading(agent, file.path, When.START, "a rule for all paths")
    if globs:
        return Loading(agent, file.path, When.PATHS, f"a rule for {', '.join(globs)}")
    return Loading(agent, file.path, When.CHOICE, "a rule that it takes up when it finds it fitting")


def _imported(first: Loading, by_path: dict[str, RuleFile], hops: int) -> list[Loading]:
    """All that a file brings in, each file once for this one, no deeper than `hops`."""
    found: list[Loading] = []
    seen, level = {by_path[first.path].real}, [first.path]
    for _ in range(hops):
        above, level = level, []
        for path in above:
            for line, named in markdown.imports(by_path[path].text):
                target = by_path.get(joined(path.rpartition("/")[0], named))
                if target is not None and target.real not in seen:
                    seen.add(target.real)
                    level.append(target.path)
                    found.append(Loading(first.agent, target.path, first.when, f"imported at {path}:{line}"))
    return found


def imported_paths(files: Iterable[RuleFile]) -> frozenset[str]:
    """Paths within the repository that files with imports name: what must be read besides."""
    found: set[str] = set()
    for file in files:
        folder = file.path.rpartition("/")[0]
        found.update(joined(folder, path) for _, path in markdown.imports(file.text) if not path.startswith(("/", "~")))
    return frozenset(found) - {""}


_SAID = {
    "": (When.START, "it counts it among its instructions"),
    "session_start": (When.START, "its own file"),
    "include": (When.START, "imported by {cause}"),
    "nested_traversal": (When.FOLDER, "it came to {cause}"),
    "path_glob_match": (When.PATHS, "it came to {cause}"),
    "compact": (When.START, "read anew when its context was cut"),
}


def said(agent: str, path: str, reason: str, cause: str) -> Loading:
    """What an agent told itself of a file that it loaded, in our words; a reason that is not known stands as it is."""
    when, why = _SAID.get(reason, (When.START, reason))
    return Loading(agent, path, when, why.replace("{cause}", cause or "a file"))
