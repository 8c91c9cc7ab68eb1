"""Rules: whether the guidance that agents read holds, bringing it up to date, and which of it a session had."""

import asyncio
from collections.abc import Iterable
from dataclasses import replace
from typing import Any

import msgspec

from heddle.api.desk import Desk
from heddle.api.tasks import One
from heddle.core import events as e
from heddle.core.errors import HeddleError, Refused, UserError
from heddle.core.redaction import redact
from heddle.core.rules import block, commands, references, syncing
from heddle.core.rules.checking import addressed, check, forget
from heddle.core.rules.files import CANONICAL, CLAUDE, GEMINI, MOST_FILES, RuleFile, Tree, is_build, is_rules
from heddle.core.rules.loading import OWN, SESSION, Place, When, habit, imported_paths, loaded_by, said
from heddle.engine.rulefiles import HOPS, rule_files
from heddle.ports import AgentFound, RulesCheckout

MOST_BUILDS = 2000
"""Files that name commands; where there are more, nobody can say that a command is not there."""

PRIVATE = ("CLAUDE.local.md", CLAUDE, f".claude/{CLAUDE}", GEMINI, CANONICAL)
"""Files of guidance that are read even where git ignores them."""

LAYER = "heddle.toml at "
"""How values name their source when the repository's committed file set them."""


class Check(msgspec.Struct, forbid_unknown_fields=True):
    """The checkout that `root` lies in, for these `agents`; none named: those that are here or that it addresses."""

    root: str
    agents: list[str] = []


class Sync(msgspec.Struct, forbid_unknown_fields=True):
    """The same; `write`: not only say what would be written. `compile_for`: agents to bring path-bound rules to."""

    root: str
    agents: list[str] = []
    write: bool = False
    compile_for: list[str] = []


async def checked(desk: Desk, asked: Check) -> dict[str, Any]:
    """What is wrong with the rules as they are in the checkout now, and how much of what parallel work needs they say."""
    checkout = await desk.rules(asked.root)
    files, tree = await _read(checkout)
    agents = await _agents(desk, asked.agents, files)
    report = await asyncio.to_thread(check, files, tree, agents, await _wanted(desk, asked.root))
    forget()
    return {
        "schema": "heddle.rules/1",
        "agents": [{"agent": agent, "version": version, "here": here(version)} for agent, version in agents.items()],
        "findings": [
            {
                "slug": one.slug,
                "severity": one.severity,
                "path": one.path,
                "line": one.line,
                "text": redact(one.text),
                "remedy": one.remedy,
            }
            for one in report.findings
        ],
        "score": report.score.value,
        "reasons": list(report.score.reasons),
        "loads": [{"agent": one.agent, "path": one.path, "when": one.when, "why": one.why} for one in report.loads],
        "whole": tree.whole,
        "unread": max(0, sum(map(is_rules, tree.paths)) - MOST_FILES),
    }


def here(version: str) -> bool:
    """Whether an agent is on this machine: only then its version is told."""
    return bool(version)


async def synced(desk: Desk, asked: Sync) -> dict[str, Any]:
    """What brings the rules up to date: said, or written. Raises Refused(slug="uncommitted") when a file that is to be written
    has uncommitted changes outside the block, and then writes nothing.
    """
    unknown = [name for name in asked.compile_for if name not in syncing.TARGETS]
    if unknown:
        known = ", ".join(syncing.TARGETS)
        raise UserError(f"rules are not compiled for '{unknown[0]}'", slug="no-such-target", hint=f"known are: {known}")
    checkout = await desk.rules(asked.root)
    files, tree = await _read(checkout)
    found = await _agents(desk, asked.agents, files)
    agents = [agent for agent, version in found.items() if asked.agents or here(version)]
    wanted = await _wanted(desk, asked.root)
    if not wanted:
        raise UserError(
            "the repository has no commit yet", slug="empty-repository", hint="make a first commit, then try again"
        )
    candidates = frozenset((CANONICAL, CLAUDE, GEMINI)) - tree.paths
    ignored = await checkout.there(candidates) if tree.whole else frozenset()
    plan = syncing.plan(files, tree.paths, agents, wanted, asked.compile_for, ignored)
    if asked.write:
        await _require_committed(checkout, plan.writes)
        await checkout.write(plan.writes)
    return {
        "schema": "heddle.rules-sync/1",
        "written": asked.write,
        "writes": [
            {"path": one.path, "new": one.before is None, "why": one.why, "text": one.text} for one in plan.writes
        ],
        "left": [{"path": one.path, "why": one.why} for one in plan.left],
    }


async def _require_committed(checkout: RulesCheckout, writes: Iterable[syncing.Write]) -> None:
    writes = tuple(writes)
    held = await checkout.committed(one.path for one in writes)
    for one in writes:
        before, committed = one.before or "", held[one.path] or ""
        if not _only_ours(before, committed, one.path):
            raise Refused(
                f"'{one.path}' has uncommitted changes, which are yours",
                slug="uncommitted",
                hint="commit them or take them back, then: heddle rules sync --write",
                path=one.path,
            )


def _only_ours(before: str, committed: str, path: str) -> bool:
    """Whether the checkout differs from the commit at most in Heddle's block."""
    try:
        return block.outside(before, path) == block.outside(committed, path)
    except UserError:  # a broken fence in the commit: nobody can tell
        return before == committed


async def _read(checkout: RulesCheckout) -> tuple[list[RuleFile], Tree]:
    """The rules files with all that they import, and what must be known of the rest."""
    paths, whole = await checkout.paths()
    near = sorted((path for path in paths if is_rules(path)), key=lambda path: (path.count("/"), path))
    files = list(await checkout.read((*near[:MOST_FILES], *PRIVATE)))
    for _ in range(HOPS):
        more = imported_paths(files) - {file.path for file in files}
        files += await checkout.read(sorted(more)[:MOST_FILES])
    known = frozenset(paths)
    files = [replace(file, ignored=whole and file.path not in known) for file in files]
    named = [path for path in paths if is_build(path)]
    builds = await checkout.read(named[:MOST_BUILDS])
    texts = {file.path: file.text for file in builds}
    whole = whole and len(named) <= MOST_BUILDS and not any(file.trouble for file in builds)
    tree = Tree(frozenset(paths), texts, whole=whole)
    places = await asyncio.to_thread(_places, files)
    there = await checkout.there(place for place in places if not tree.names(place))
    return files, Tree(tree.paths, texts, there, tree.whole)


def _places(files: list[RuleFile]) -> set[str]:
    """All places in the repository that the files speak of."""
    places = {place for one in references.references(files) for place in one.places}
    return places | {
        place for said, script in commands.scripts(files) for place in commands.script_places(said, script)
    }


async def _agents(desk: Desk, named: list[str], files: list[RuleFile]) -> dict[str, str]:
    """The agents that are to read the rules, with the versions of those that are here."""
    unknown = [name for name in named if name not in OWN]
    if unknown:
        known = ", ".join(OWN)
        raise UserError(
            f"nothing is known of what '{unknown[0]}' loads", slug="unknown-agent", hint=f"known are: {known}"
        )
    found = await desk.fleet.outside.agents.look()
    here_now = ((_habit_of(one), one.version) for one in found if one.trouble is None)
    installed = {name: version for name, version in here_now if name in OWN}
    chosen = named or [*installed, *addressed(files)] or list(SESSION)
    return {name: installed.get(name, "") for name in chosen}


def _habit_of(found: AgentFound) -> str:
    """The name under which the ways of an agent are known: that of its protocol, when it is one of a single program."""
    return found.protocol if found.protocol in OWN else found.name if found.protocol == "command" else ""


async def _wanted(desk: Desk, root: str) -> str:
    """The block as it would be now, from what the repository's own committed file says; "" without a commit."""
    try:
        values = await desk.explain(root, "")
    except UserError as error:
        if error.slug != "no-such-revision":
            raise
        return ""
    own = {value["key"]: value["value"] for value in values if str(value["source"]).startswith(LAYER)}
    return block.content(_texts(own.get("setup.commands")), _texts(own.get("checks.commands")))


def _texts(value: object) -> tuple[str, ...]:
    return tuple(str(one) for one in value) if isinstance(value, list) else ()


async def shown(desk: Desk, asked: One) -> dict[str, Any]:
    """Which rules each session of a task had: as its agent told it itself, or else from its base commit and what is known of
    the agent. `known` is false where nothing can be said, and `told` says how it is known, or why it is not. `unsaid`: what the
    agent is known to load at its start, and did not speak of although it told of others.
    """
    run = desk.require(asked.task)
    repository = (await desk.site(run)).repository
    started = [r.event for r in desk.runs.history(run.task.id) if isinstance(r.event, e.SessionStarted)]
    bases = {
        r.event.workspace: r.event for r in desk.runs.history(run.task.id) if isinstance(r.event, e.WorkspaceCreated)
    }
    names = {one.agent: await _ways(desk, one.agent) for one in started}
    held: dict[str, list[RuleFile]] = {}
    sessions = []
    for one in started:
        made = bases.get(one.workspace)
        commit = made.start if made else run.base
        if commit not in held:
            held[commit] = await rule_files(repository, commit)
        facts = [record.event for record in await desk.runs.journal.read(f"session:{one.session}")]
        shown = _session(
            one, names[one.agent], held[commit], [fact for fact in facts if isinstance(fact, e.RulesLoaded)]
        )
        sessions.append({**shown, "commit": commit, "version": _version(facts)})
    return {"schema": "heddle.rules-shown/1", "task": run.task.id, "sessions": sessions}


async def _ways(desk: Desk, brand: str) -> str:
    """The name under which the ways of a brand are known now; "" when they are not, or the brand is gone."""
    try:
        found = await desk.fleet.outside.agents.look(brand)
    except HeddleError:
        return ""
    return _habit_of(found[0])


def _version(facts: list[e.Event]) -> str:
    """What the agent of a session said that it is; "" when it said nothing."""
    return next((fact.version for fact in reversed(facts) if isinstance(fact, e.AgentAnswered)), "")


def _session(one: e.SessionStarted, agent: str, files: list[RuleFile], signals: list[e.RulesLoaded]) -> dict[str, Any]:
    known = habit(agent, files, Place.SESSION)
    guessed = loaded_by(agent, files, Place.SESSION) or ()
    told = {signal.path: said(agent, signal.path, signal.reason, signal.cause) for signal in reversed(signals)}
    by_rules = known.told if known else f"what '{one.agent}' loads is not known"
    return {
        "session": one.session,
        "agent": one.agent,
        "stage": one.stage,
        "known": known is not None or bool(told),
        "told": "told by the agent itself" if told else by_rules,
        "files": [
            {"path": file.path, "when": file.when, "why": file.why} for file in (tuple(told.values())[::-1] or guessed)
        ],
        "unsaid": [file.path for file in guessed if told and file.when is When.START and file.path not in told],
    }
