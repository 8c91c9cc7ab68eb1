"""Work that began outside of Heddle, taken into the tracker and the queue as it is now; where it lies nothing is changed."""

import os
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import msgspec

from heddle.api import ready_made
from heddle.api.desk import Desk, require_text
from heddle.api.tasks import desk_row
from heddle.core import events as e
from heddle.core.claim import require_claim
from heddle.core.errors import Refused, UserError
from heddle.core.redaction import Redactor
from heddle.core.run import Run
from heddle.core.scope import Scope, require_scope
from heddle.core.task import Lane, Task
from heddle.core.timeline import left_out
from heddle.engine.roles import Roles
from heddle.engine.site import Site
from heddle.engine.steering import steers


class Adopt(msgspec.Struct, forbid_unknown_fields=True):
    """A branch, or a worktree by its path, of the repository at `root`; what is known of it as of any task. `text`: what it
    does; by default the subject of its last commit. `task`: it is the result of that one, which is open; `token` is that of
    the claim under which it was made.
    """

    root: str
    what: str
    text: str = ""
    role: str = "feature"
    agent: str = ""
    branch: str = ""
    scope: list[str] = []
    checks: list[str] = []
    task: str = ""
    token: int = 0


@dataclass(frozen=True, slots=True)
class Found:
    """What is to be adopted: its tree, the last commit under it, and what was left out of the tree, with the reason."""

    name: str
    head: str
    tree: str
    refused: tuple[tuple[str, str], ...] = ()


async def adopt(desk: Desk, asked: Adopt) -> dict[str, Any]:
    """A task whose result is what a branch or worktree holds against where it left the target; validation is next.

    Raises UserError (slug no-such-work, nothing-to-adopt, no-history), Refused (slug outside-scope, secret-in-diff).
    """
    site = await desk.fleet.outside.site(asked.root)
    repository = site.repository
    branch = asked.branch or await repository.current_branch()
    tip = await repository.resolve(f"refs/heads/{branch}")
    await desk.fleet.outside.settings.settings(repository, tip)
    (await Roles(desk.fleet.outside.texts, repository).load(tip, asked.role)).lane(Lane.QUICK)
    if asked.agent:
        desk.fleet.outside.agents.agent(asked.agent)
    scope = require_scope(asked.scope).globs
    known = desk.require(asked.task) if asked.task else None
    if known is not None:
        _require_open(desk, known, asked.token)
        branch, scope = known.task.branch, scope or known.task.scope
    found = await _found(site, asked.what, tip)
    base = await _base(site, tip, found)
    text = known.task.text if known else require_text(asked.text or await _subject(site, found))
    delivered = await _result(site, base, found, scope, text)

    def make(id: str) -> Task:
        where = (repository.key, repository.root, branch)
        return Task(id, *where, text, Lane.QUICK, asked.role, asked.agent, "", scope, tuple(asked.checks))

    if known is not None:
        run = await _deliver(desk, known.task.id, asked, base, delivered)
    else:
        run = await ready_made.add(desk, make, base, delivered)
    return {**desk_row(desk, run), "left_out": [list(one) for one in found.refused]}


def _require_open(desk: Desk, run: Run, token: int) -> None:
    """Raises Refused: somebody else's claim, or a task that is under way or settled, or waits for another."""
    require_claim(run.task.id, run.claim, run.claims, token, desk.fleet.outside.clock.now())
    if run.under_way or run.settled_well:
        raise Refused(f"task '{run.task.id}' is not open", slug="task-not-open", hint=f"see: heddle why {run.task.id}")
    if desk.runs.blocked(run):  # its result would land before what must land first
        hint = f"settle that, or take the link away; see: heddle why {run.task.id}"
        raise Refused(f"task '{run.task.id}' waits for another", slug="task-blocked", hint=hint)


async def _deliver(desk: Desk, id: str, asked: Adopt, base: str, delivered: e.ResultDelivered) -> Run:
    """The result of a known task: what is left of the cycle is its validation, with what was stated about it."""

    def choose(run: Run) -> list[e.Event]:
        _require_open(desk, run, asked.token)
        checks = tuple(dict.fromkeys((*run.task.checks, *asked.checks)))
        scope = require_scope(asked.scope).globs or run.task.scope
        task = replace(run.task, lane=Lane.QUICK, scope=scope, checks=checks, agent=asked.agent or run.task.agent)
        return [e.TaskEdited(task), *ready_made.begun(id, run.number + 1, base, delivered)]

    return await desk.runs.record_if(id, choose, by=desk.by)


async def _found(site: Site, what: str, tip: str) -> Found:
    path = Path(what)
    if os.sep in what and path.is_dir():
        return await _worktree(site, path.resolve(), tip)
    try:
        head = await site.repository.resolve(f"refs/heads/{what}")
    except UserError:
        raise UserError(
            f"'{what}' is no branch and no worktree of this repository",
            slug="no-such-work",
            hint="name a branch, or a worktree by its path, for instance ./.claude/worktrees/NAME",
        ) from None
    return Found(what, head, await site.repository.tree_of(head))


async def _worktree(site: Site, path: Path, tip: str) -> Found:
    """By the rules of a result: what git ignores is nobody's work."""
    if await site.worktrees.identify(path) is None:
        raise UserError(
            f"'{path}' is no worktree of this repository",
            slug="no-such-work",
            hint=f"commit what is in the main checkout to a branch of its own, or list worktrees: git -C {site.repository.root} worktree list",
        )
    whole = await site.worktrees.snapshot(path, base=tip, size_limit=site.max_file_bytes)
    if whole.unmerged:
        raise Refused(f"'{path}' has unresolved conflicts", slug="conflicts", hint="resolve them there, then adopt it")
    return Found(whole.branch or path.name, whole.head, whole.worktree, whole.refused)


async def _base(site: Site, tip: str, found: Found) -> str:
    """Where the work left the target."""
    base = await site.repository.fork_point(tip, found.head)
    if not base:
        raise UserError(
            f"'{found.name}' has no commit in common with the branch it is to land on",
            slug="no-history",
            hint="name another branch to land on: --branch",
        )
    return base


async def _subject(site: Site, found: Found) -> str:
    message = await site.repository.message(found.head)
    return message.strip().partition("\n")[0] or f"adopt {found.name}"


async def _result(site: Site, base: str, found: Found, scope: tuple[str, ...], text: str) -> e.ResultDelivered:
    repository = site.repository
    changes = await repository.changes(base, found.tree)
    paths = tuple(change.path for change in changes)
    if not paths:
        told = f"'{found.name}' holds nothing that its base does not" + left_out(found.refused)
        raise UserError(told, slug="nothing-to-adopt", hint="if its work is in a worktree, name that by its path")
    beyond = Scope(scope).outside(paths) if scope else ()
    if beyond:
        raise Refused(f"'{beyond[0]}' lies outside the scope", slug="outside-scope", hint="name a wider one: --scope")
    commit = await repository.commit(found.tree, [base], text, as_person=False)
    await _refuse_secrets(site, base, commit)
    await repository.keep(f"refs/heddle/results/adopted-{commit[:12]}", commit)
    await repository.keep(f"refs/heddle/own/adopted-{commit[:12]}", found.head)
    told = f"Adopted from {found.name} as it was at {found.head}."
    delivered = ready_made.result(commit, found.tree, changes, told, found.head, found.refused)
    return replace(delivered, steers=await steers(repository, base, commit, paths))


async def _refuse_secrets(site: Site, base: str, commit: str) -> None:
    leaking = Redactor(await site.workspaces.secrets(base)).added(await site.repository.diff(base, commit))
    if leaking:
        raise Refused(
            f"'{leaking[0]}' would add a secret", slug="secret-in-diff", hint="take it out, then adopt it again"
        )
