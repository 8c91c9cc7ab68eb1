"""Finding roles: the person's own, else the repository's at a commit, else those that Heddle ships."""

import difflib
import tomllib
from collections.abc import Mapping
from dataclasses import replace
from functools import lru_cache
from typing import Any, NoReturn

from heddle.core.capabilities import NAMES
from heddle.core.errors import SetupError, UserError
from heddle.core.gate import Decider, GateRule
from heddle.core.plan import MANUAL
from heddle.core.role import MOST_INSTRUCTIONS, Role, instructions
from heddle.core.scope import require_scope
from heddle.core.settings import AgentRule
from heddle.core.task import UNDO, WITH_AGENT, Stage
from heddle.engine.documents import FENCE
from heddle.ports import Repository

FOLDER = ".heddle/roles/"
"""Where a repository keeps its own, a file NAME.md for each."""

LONGEST = 8_000
"""Characters of a role: agents that are told more obey less."""

SHIPPED, OWN = "role-", "own-role-"
"""How texts are named that are roles: Heddle's, and the person's."""


OWN_ONLY = frozenset({"agent", "agents", "fallbacks", "needs"})
"""A repository does not choose who is paid."""

KEYS = OWN_ONLY | {"scope", "writes", "network", "gates", "checks"}

HEADINGS = {f"# {stage}": stage for stage in (*sorted(WITH_AGENT), Stage.VALIDATE)}
"""The lines under which a role says what holds at one stage alone."""


class Roles:
    """The roles that a repository's tasks may have. `texts`: those that lie elsewhere, by name."""

    def __init__(self, texts: Mapping[str, str], repository: Repository) -> None:
        self._texts, self._repository = texts, repository

    async def load(self, commit: str, name: str) -> Role:
        """A role as it is at a commit. Raises UserError(slug="no-such-role"), SetupError(slug="bad-role")."""
        found = self.chosen(name, await self.committed(commit, name))
        return found or await self._unknown(commit, name)

    async def committed(self, commit: str, name: str) -> bytes | None:
        """The repository's own file for a role at a commit."""
        return await self._repository.read_file(commit, f"{FOLDER}{name}.md") if _is_name(name) else None

    def chosen(self, name: str, committed: bytes | None) -> Role | None:
        """The person's own, else the one that is committed, else the shipped one. Raises SetupError(slug="bad-role").

        A repository may narrow, never widen: what is shipped as a role that writes nothing does not write by its word.
        """
        own, shipped = self._texts.get(f"{OWN}{name}"), self._texts.get(f"{SHIPPED}{name}")
        if own is not None:
            return parsed(name, own, f"roles/{name}.md of your own")
        known = parsed(name, shipped, "shipped") if shipped is not None else None
        if committed is None:
            return known
        role = parsed(name, committed.decode(errors="replace"), f"{FOLDER}{name}.md")
        return role if known is None else replace(role, writes=role.writes and known.writes)

    async def _unknown(self, commit: str, name: str) -> NoReturn:
        known = await self.names(commit)
        close = difflib.get_close_matches(name, known, n=1)
        hint = f"did you mean {close[0]}?" if close else f"roles are: {', '.join(known)}"
        raise UserError(f"there is no role '{name}'", slug="no-such-role", hint=f"{hint} See: heddle role list")

    async def names(self, commit: str) -> tuple[str, ...]:
        """All of them, in order."""
        paths = (path for path in await self._repository.list_files(commit) if path.startswith(FOLDER))
        names = {path.removeprefix(FOLDER).removesuffix(".md") for path in paths if path.endswith(".md")}
        for prefix in (SHIPPED, OWN):
            names |= {text.removeprefix(prefix) for text in self._texts if text.startswith(prefix)}
        return tuple(sorted(name for name in names if _is_name(name)))


def _is_name(name: str) -> bool:
    return name != UNDO and name.replace("-", "").isalnum() and name.isascii() and name == name.lower()


@lru_cache(maxsize=256)
def parsed(name: str, document: str, source: str) -> Role:
    """A role from its file: a front matter between lines of +++ if it has one, then the text, in which a heading that is
    the name of a stage begins what holds at that stage alone.

    Raises SetupError(slug="bad-role") with the file and what is wrong in it.
    """
    front, text = _split(document)
    if len(text) > LONGEST or not text.strip():
        raise _bad(source, f"its text has {len(text.strip())} characters; 1 to {LONGEST} are taken")
    try:
        keys = tomllib.loads(front)
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        raise _bad(source, f"its front matter is not TOML: {error}") from error
    _require_known(keys, source)
    whole, told = _by_stage(text, source)
    role = Role(
        name,
        whole,
        told,
        scope=_scope(keys, source),
        writes=_truth(keys, "writes", source),
        network=_truth(keys, "network", source),
        agents=_agents(name, keys, source),
        fallbacks=_texts(keys, "fallbacks", "brands", source),
        needs=_needs(keys, source),
        gates=_gates(name, keys, source),
        checks=_checks(keys, source),
        source=source,
    )
    for stage in HEADINGS.values():
        count = instructions(role.text_at(stage))
        if count >= MOST_INSTRUCTIONS:
            raise _bad(source, f"it has {count} instructions for {stage}; fewer than {MOST_INSTRUCTIONS} are taken")
    return role


def _require_known(keys: Mapping[str, Any], source: str) -> None:
    if "budget" in keys:
        raise _bad(source, "it states a 'budget', and nothing keeps one yet; leave it out")
    foreign = sorted(keys.keys() - KEYS)
    if foreign:
        raise _bad(source, f"it has a key '{foreign[0]}'; taken are: {', '.join(sorted(KEYS))}")
    paid = sorted(keys.keys() & OWN_ONLY)
    if paid and source.startswith(FOLDER):
        told = f"a repository does not choose who is paid; say '{paid[0]}' in a role of your own"
        raise _bad(source, told)


def _split(document: str) -> tuple[str, str]:
    lines = document.strip().splitlines()
    if not lines or lines[0].strip() != FENCE:
        return "", document
    ends = [number for number, line in enumerate(lines) if line.strip() == FENCE]
    return ("\n".join(lines[1 : ends[1]]), "\n".join(lines[ends[1] + 1 :])) if ends[1:] else ("", document)


def _by_stage(text: str, source: str) -> tuple[str, tuple[tuple[Stage, str], ...]]:
    """What holds at every stage, and what at one."""
    parts: dict[Stage | None, list[str]] = {None: []}
    at: Stage | None = None
    for line in text.splitlines():
        stage = HEADINGS.get(line.strip().casefold())
        if stage is None:
            parts[at].append(line)
        elif stage in parts:
            raise _bad(source, f"two parts of it are for {stage}")
        else:
            at, parts[stage] = stage, []
    joined = {stage: "\n".join(lines).strip() for stage, lines in parts.items()}
    return joined.pop(None), tuple((stage, part) for stage, part in joined.items() if stage and part)


def _scope(keys: Mapping[str, Any], source: str) -> tuple[str, ...]:
    try:
        return require_scope(_texts(keys, "scope", "globs", source)).globs
    except UserError as error:
        raise _bad(source, error.message) from error


def _agents(name: str, keys: Mapping[str, Any], source: str) -> tuple[AgentRule, ...]:
    """Who plays it: at a stage (`agents`), else at all of them (`agent`)."""
    told, always = keys.get("agents", {}), keys.get("agent", "")
    named = [*told.values(), always] if isinstance(told, dict) else [None]
    if not all(isinstance(one, str) for one in named):
        raise _bad(source, "'agent' is a brand, or \"brand:model\"; 'agents' is a table of such by stage")
    wrong = [stage for stage in told if stage not in HEADINGS.values()]
    if wrong:
        raise _bad(source, f"'{wrong[0]}' of 'agents' is no stage; those are: {', '.join(HEADINGS.values())}")
    rules = [AgentRule(agent, stage, name) for stage, agent in told.items()]
    return (*rules, AgentRule(always, role=name)) if always else tuple(rules)


def _needs(keys: Mapping[str, Any], source: str) -> tuple[str, ...]:
    needs = _texts(keys, "needs", "capabilities", source)
    wrong = [need for need in needs if need not in NAMES]
    if wrong:
        raise _bad(source, f"'{wrong[0]}' is no capability; those are: {', '.join(NAMES)}")
    return needs


def _gates(name: str, keys: Mapping[str, Any], source: str) -> tuple[GateRule, ...]:
    """By stage, who decides there. A role asks for more than is asked anyway; that nobody decides, it cannot say."""
    told = keys.get("gates", {})
    deciders = (Decider.PERSON, Decider.DELEGATION)
    if not isinstance(told, dict) or not all(one in deciders for one in told.values()):
        raise _bad(source, "'gates' is a table that says by stage who decides there: person or delegation")
    wrong = [stage for stage in told if stage not in HEADINGS.values()]
    if wrong:
        raise _bad(source, f"there is no gate after '{wrong[0]}'; gates are: {', '.join(HEADINGS.values())}")
    return tuple(GateRule(Stage(stage), Decider(decides), role=name) for stage, decides in told.items())


def _checks(keys: Mapping[str, Any], source: str) -> tuple[str, ...]:
    checks = _texts(keys, "checks", "shell commands", source)
    if any("\n" in check or "\0" in check or check.startswith(MANUAL) for check in checks):
        raise _bad(source, "a check of a role is a shell command of one line")
    return checks


def _texts(keys: Mapping[str, Any], key: str, what: str, source: str) -> tuple[str, ...]:
    told = keys.get(key, [])
    if not isinstance(told, list) or not all(isinstance(one, str) and one.strip() for one in told):
        raise _bad(source, f"'{key}' is a list of {what}")
    return tuple(one.strip() for one in told)


def _truth(keys: Mapping[str, Any], key: str, source: str) -> bool:
    told = keys.get(key, True)
    if not isinstance(told, bool):
        raise _bad(source, f"'{key}' is true or false")
    return told


def _bad(source: str, why: str) -> SetupError:
    return SetupError(f"the role in {source} cannot be taken: {why}", slug="bad-role", hint="see: heddle role list")
