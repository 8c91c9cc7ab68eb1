"""All checks of the rules of one repository, for the agents that are to read them."""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from heddle.core.errors import UserError
from heddle.core.rules import block, commands, markdown, references, statements, syncing
from heddle.core.rules.files import CANONICAL, CLAUDE, GEMINI, RuleFile, Tree
from heddle.core.rules.findings import Finding, Severity, in_order
from heddle.core.rules.guidance import Need, Score, score
from heddle.core.rules.loading import OWN, SESSION, Loading, Place, When, habit, loaded_by, upward

LONG_LINES = 200
"""Lines of one file up to which Claude Code's documentation says that it is followed well."""

ALIKE = 0.6
"""The part of a file's sentences that stand in another one, from which on it is a copy."""

LEAST_LINES = 4
"""Fewer sentences in common are chance."""

ADDRESSED = {
    "claude": r"(?:.*/)?CLAUDE(?:\.local)?\.md|\.claude/rules/.*",
    "gemini": r"(?:.*/)?GEMINI\.md|\.gemini/settings\.json",
    "cursor": r"(?:.*/)?\.cursor/rules/.*|\.cursorrules",
    "copilot": r"\.github/(?:copilot-instructions\.md|instructions/.*)",
    "aider": r"\.aider\.conf\.yml",
    "codex": r"(?:.*/)?AGENTS\.override\.md",
}
"""The files by which a repository addresses an agent, whoever has it installed."""


@dataclass(frozen=True, slots=True)
class Report:
    """What a check found, the score, and what each agent loads."""

    findings: tuple[Finding, ...]
    score: Score
    loads: tuple[Loading, ...]


def addressed(files: Iterable[RuleFile]) -> tuple[str, ...]:
    """The agents that have files of their own here."""
    paths = [file.path for file in files]
    return tuple(agent for agent, shape in ADDRESSED.items() if any(re.fullmatch(shape, path) for path in paths))


def forget() -> None:
    """Let go of what was kept of texts while they were looked at."""
    for kept in (markdown.lines, markdown.imports, commands.said_by, statements.statements):
        kept.cache_clear()


def check(files: Sequence[RuleFile], tree: Tree, agents: Mapping[str, str], wanted: str = "") -> Report:
    """Every check. `agents`: those that are to read the rules, each with its version ("": unknown); `wanted`: the block as
    it would be now, "" when nobody can say.
    """
    loads = {agent: loaded_by(agent, files, Place.OWN, version) or () for agent, version in agents.items()}
    texts = tuple(
        {file.real: file for file in sorted(files, key=lambda file: not file.link)}.values()
    )  # a link says nothing of its own
    found = [
        *_unreadable(files),
        *_block(files, wanted),
        *(references.all_dead(texts, tree) if tree.whole else ()),
        *commands.dead(texts, tree),
        *_budgets(files, loads),
        *_long(files, agents),
        *_twice(files, loads),
        *_copies(files),
        *_compiled(files),
        *_unheard(files, agents, loads),
        *statements.differences(files, _together(files, loads)),
    ]
    whole = [file for file in _whole(files) if file.path.endswith((".md", ".mdc", ".cursorrules"))]
    findings = in_order(found)
    scored = score(whole, tree, findings)
    gaps = [Finding("gap", Severity.NOTE, CANONICAL, 0, _missing(gap)) for gap in scored.gaps]
    return Report((*findings, *gaps), scored, tuple(one for each in loads.values() for one in each))


def _missing(gap: Need) -> str:
    return f"{gap.name}: no heading, command or pointer was found that speaks of it; {gap.why}"


def _whole(files: Sequence[RuleFile]) -> list[RuleFile]:
    """Files that some agent loads at its start, each text once."""
    first = {one.path for agent in OWN for one in loaded_by(agent, files) or () if one.when is When.START}
    return list({file.real: file for file in files if file.path in first}.values())


def _unreadable(files: Iterable[RuleFile]) -> Iterator[Finding]:
    for file in files:
        if file.trouble:
            yield Finding(
                "unreadable", Severity.ERROR, file.path, 0, file.trouble, "make it a plain file of UTF-8 text"
            )


def _block(files: Iterable[RuleFile], wanted: str) -> Iterator[Finding]:
    canonical = next((file for file in files if file.path == CANONICAL), None)
    if canonical is None:
        text = "there is no AGENTS.md, the one file that every agent can be led to"
        yield Finding("no-canonical", Severity.WARNING, CANONICAL, 0, text, "see: heddle rules sync")
        return
    try:
        at = block.span(canonical.text, CANONICAL)
    except UserError as error:
        line = int(str(error.facts["line"]))
        yield Finding("broken-fence", Severity.ERROR, CANONICAL, line, error.message, error.hint)
        return
    if at is None and wanted:
        text = "it has no block of Heddle: sessions are not told what works beside them"
        yield Finding("no-block", Severity.NOTE, CANONICAL, 0, text, "see: heddle rules sync")
    elif at and wanted and canonical.text[at[0] : at[1]].replace("\r\n", "\n") != wanted:
        line = canonical.text.count("\n", 0, at[0]) + 1
        text = "the block of Heddle is not what the settings say now"
        yield Finding("stale-block", Severity.WARNING, CANONICAL, line, text, "see: heddle rules sync")


def _budgets(files: Sequence[RuleFile], loads: Mapping[str, tuple[Loading, ...]]) -> Iterator[Finding]:
    by_path = {file.path: file for file in files}
    for agent, loading in loads.items():
        known = habit(agent, files)
        if known is None or not known.budget:
            continue
        told: set[str] = set()
        for folder in sorted({by_path[one.path].folder for one in loading}):
            above = upward(folder)
            chain = [by_path[one.path] for one in loading if by_path[one.path].folder in above]
            total = sum(file.size for file in chain)
            if total > known.budget and not told & set(above):
                told.add(folder)
                names = " + ".join(f"{file.path} ({file.size})" for file in chain)
                where = f" when it starts in {folder}/" if folder else ""
                text = f"{agent} reads {known.budget} bytes of rules, and these are {total}{where}: {names}; the rest is cut"
                severity = Severity.WARNING if folder else Severity.ERROR
                yield Finding("over-budget", severity, chain[-1].path, 0, text, "shorten them, or point to documents")


def _long(files: Iterable[RuleFile], agents: Iterable[str]) -> Iterator[Finding]:
    for file in files:
        count = file.text.count("\n")
        if "claude" in agents and re.fullmatch(ADDRESSED["claude"], file.path) and count > LONG_LINES:
            text = f"{count} lines; Claude Code's documentation asks for less than {LONG_LINES}"
            yield Finding("long", Severity.NOTE, file.path, 0, text, "move what is of one folder to rules with paths")


def _twice(files: Sequence[RuleFile], loads: Mapping[str, tuple[Loading, ...]]) -> Iterator[Finding]:
    by_path = {file.path: file for file in files}
    readers: dict[tuple[str, str], list[str]] = {}
    for agent, loading in loads.items():
        first: dict[str, Loading] = {}
        for one in loading:
            before = first.setdefault(by_path[one.path].real, one)
            if before is not one and one.when is When.START:
                ways = f"as {before.path} ({before.why}) and as {one.path} ({one.why})"
                readers.setdefault((by_path[one.path].real, ways), []).append(agent)
    for (path, ways), agents in readers.items():
        text = f"{', '.join(agents)} loads the same text twice: {ways}"
        yield Finding("loaded-twice", Severity.WARNING, path, 0, text, "leave one of the two ways")


def _copies(files: Sequence[RuleFile]) -> Iterator[Finding]:
    """Shims that hold a copy of the canonical text instead of pointing at it."""
    for file in files:
        beside = f"{file.folder}/{CANONICAL}" if file.folder else CANONICAL
        canonical = next((one for one in files if one.path == beside), None)
        shim = file.path.rpartition("/")[2] in (CLAUDE, GEMINI, "copilot-instructions.md", ".cursorrules")
        if canonical is None or not shim or file.real == canonical.real:
            continue
        ours, theirs = sentences(file.text), sentences(canonical.text)
        common = len(ours & theirs)
        if common >= LEAST_LINES and common >= ALIKE * min(len(ours), len(theirs)):
            same = "a copy" if ours == theirs else f"a stale copy ({len(ours ^ theirs)} lines differ)"
            text = f"it is {same} of {canonical.path}: every change has to be made twice"
            yield Finding("stale-shim", Severity.WARNING, file.path, 0, text, "let it hold one line: @AGENTS.md")


def _compiled(files: Sequence[RuleFile]) -> Iterator[Finding]:
    for file, target, wrong in syncing.stale(files):
        yield Finding("stale-shim", Severity.WARNING, file.path, 0, wrong, f"see: heddle rules sync --compile {target}")


def sentences(text: str) -> frozenset[str]:
    """The lines that say something."""
    return frozenset(line for part in text.splitlines() if len(line := " ".join(part.split())) > 20)


def _unheard(
    files: Sequence[RuleFile], agents: Mapping[str, str], loads: Mapping[str, tuple[Loading, ...]]
) -> Iterator[Finding]:
    """Agents that the canonical file does not reach, by themselves or in a session of Heddle."""
    canonical = next((file for file in files if file.path == CANONICAL), None)
    by_path = {file.path: file for file in files}
    committed = [file for file in files if not file.ignored]
    ways: tuple[tuple[str, Callable[[str], Iterable[Loading]], Iterable[str]], ...] = (
        ("", lambda agent: loads[agent], agents),
        (" in a session of Heddle", lambda agent: loaded_by(agent, committed, Place.SESSION) or (), SESSION),
    )
    if canonical is None:
        return
    told: set[str] = set()
    for where, loading, known in ways:
        for agent in (name for name in agents if name in known and name not in told):
            heard = {by_path[one.path].real for one in loading(agent)}
            if canonical.real not in heard:
                told.add(agent)
                instead = f"; it loads {', '.join(sorted(heard))}" if heard else ""
                text = f"{agent} does not load it{where}{instead}"
                yield Finding(
                    "not-loaded",
                    Severity.WARNING,
                    CANONICAL,
                    0,
                    text,
                    REMEDIES.get(agent, "name it in the agent's settings"),
                )


REMEDIES = {
    "claude": "let CLAUDE.md hold the line @AGENTS.md; see: heddle rules sync",
    "gemini": "let GEMINI.md hold the line @AGENTS.md; see: heddle rules sync",
    "codex": "an AGENTS.override.md stands before it: say there what AGENTS.md says, or remove it",
}


def _together(files: Sequence[RuleFile], loads: Mapping[str, tuple[Loading, ...]]) -> Iterator[frozenset[str]]:
    """Sets of files that speak of the whole repository and of which one reader has all, or that stand beside each other."""
    by_path = {file.path: file for file in files}
    yield frozenset(path for path in (CANONICAL, CLAUDE, GEMINI) if path in by_path)
    for loading in loads.values():
        yield frozenset(one.path for one in loading if one.when is When.START)
