"""What a repository's lockfiles name: installed once where workspaces can share it, else in each of them."""

import secrets
from contextlib import suppress
from dataclasses import replace

from heddle.core import events as e
from heddle.core.errors import HeddleError
from heddle.core.recipe import Recipe
from heddle.core.redaction import Redactor
from heddle.core.settings import Settings
from heddle.engine.failure import Failure
from heddle.engine.runs import Runs
from heddle.engine.site import Outside, Site
from heddle.engine.sizewatch import bounded_exit
from heddle.ports import Command, Reach, Workspace, WorkspaceOrder

TEARDOWN_S = 60.0
"""So long a tear-down command may keep a task from ending."""

CLOSED = 3
"""From this tier on a session reaches neither registries nor the hosts that the person named."""

BUILDER = "deps-"
"""Begins the ids of the workspaces in which layers are made."""


class Installer:
    """Sees to the dependencies of one repository's workspaces, with the settings of one commit."""

    def __init__(self, outside: Outside, site: Site, settings: Settings) -> None:
        self.outside, self.site, self.settings = outside, site, settings
        self.redact = Redactor()

    async def learn_secrets(self, commit: str) -> None:
        """From now on `redact` knows the secrets in the files that workspaces of that base are given."""
        self.redact = Redactor(await self.site.workspaces.secrets(commit))

    async def layers(self, commit: str) -> tuple[str, ...]:
        """The layers for a workspace that starts at a commit; what is not there yet is installed first.

        Raises Failure(setup-failed).
        """
        if not self.site.workspaces.layered:
            return ()
        return tuple([await self._layer(recipe, commit) for recipe in self.settings.dependencies])

    async def set_up(self, workspace: Workspace, key: str) -> None:
        """Run the repository's (approved) set-up commands in a workspace, and before them what no layer brought.

        Raises Failure(setup-failed).
        """
        installs = () if self.site.workspaces.layered else (recipe.install for recipe in self.settings.dependencies)
        for number, line in enumerate((*installs, *self.settings.setup), start=1):
            await self._run(workspace, f"{key}.setup-{number}", line, "set-up")

    async def close(self, workspace: Workspace, runs: Runs, task: str) -> None:
        """Undo what set-up made elsewhere, and seal; what cannot be undone is recorded where there is a task, and keeps nobody
        from going on.

        Done again it changes nothing.
        """
        for number, line in enumerate(self.settings.teardown, start=1):
            try:
                await self._run(workspace, f"{workspace.id}.teardown-{number}", line, "tear-down", TEARDOWN_S)
            except Failure as failure:
                event = e.TearDownFailed(workspace.id, failure.detail, failure.evidence)
                if task and all(record.event != event for record in runs.history(task)):
                    await runs.record(task, event)
            except HeddleError:  # sealed before, or lost
                break
        await workspace.seal()

    async def reach(self) -> Reach:
        """What commands of this repository may reach, and where their tools keep what they fetch."""
        named, workspaces = self.settings.hosts, self.site.workspaces
        found = Reach(named, near=named).with_more(await self.outside.registries.reach(self.settings.dependencies))
        cached = [recipe for recipe in self.settings.dependencies if recipe.cache and workspaces.layered]
        return found.with_more(Reach(env={recipe.cache: f"{workspaces.caches}/{recipe.name}" for recipe in cached}))

    async def reach_of_sessions(self) -> Reach:
        """The same for a session. In tier 3, and where its role says so, it reaches nothing but its agent's own hosts: what is
        to be fetched, approved commands fetch before it begins."""
        found = await self.reach()
        closed = self.outside.tier >= CLOSED or not self.settings.network
        return Reach(env=found.env) if closed else found

    async def for_session(self, command: Command, key: str) -> Command:
        """An agent's command with what it may reach besides, and where its tools keep what they fetch."""
        more = await self.reach_of_sessions()
        return replace(
            command,
            key=key,
            env={**more.env, **command.env},
            hosts=(*command.hosts, *more.hosts),
            near=(*command.near, *more.near),
            forwards=(*command.forwards, *more.forwards),
            transcript_limit=self.settings.transcript_bytes,
            wall_s=self.settings.session_s,
        )

    def command(self, key: str, line: str, reach: Reach) -> Command:
        """A shell command of this repository's configuration."""
        return Command(
            key,
            ("/bin/sh", "-c", line),
            "",
            {**reach.env, "CI": "1"},
            wall_s=self.settings.check_s,
            hosts=reach.hosts,
            near=reach.near,
            forwards=reach.forwards,
        )

    async def _layer(self, recipe: Recipe, commit: str) -> str:
        made = self.site.made
        async with made.lock(recipe.name):
            digest = made.digests.get((recipe.name, commit)) or await self._digest(recipe, commit)
            made.digests[recipe.name, commit] = digest
            name = made.layers.get(digest, "")
            if not name or not await self.site.workspaces.has_layer(name):
                name = made.layers[digest] = await self._make(recipe, commit, digest)
            return name

    async def _digest(self, recipe: Recipe, commit: str) -> str:
        repository = self.site.repository
        paths = await repository.list_files(commit)
        if recipe.lockfile not in paths:
            told = f"heddle.toml wants what '{recipe.name}' installs, but there is no {recipe.lockfile}"
            raise Failure("setup-failed", told)
        inputs = {path: await repository.read_file(commit, path) or b"" for path in recipe.inputs_among(paths)}
        return recipe.digest(inputs)

    async def _make(self, recipe: Recipe, commit: str, digest: str) -> str:
        """Install in a workspace of its own, which becomes the layer; returns the layer's name."""
        id = f"{BUILDER}{digest[:24]}"
        async with self.site.made.lock(BUILDER):
            left = await self.site.workspaces.find(id)
            if left is not None:  # an earlier attempt could not be cleared away
                await _clear(left)
        caches = (recipe.name,) if recipe.cache else ()
        workspace = await self.site.workspaces.create(WorkspaceOrder(id, commit, include=False, caches=caches))
        try:
            key = f"{id}.{secrets.token_hex(8)}"
            versions = await self._run(workspace, f"{key}.versions", recipe.versions, recipe.name)
            name = recipe.layer(digest, versions, workspace.tree)
            if not await self.site.workspaces.has_layer(name):
                await self._run(workspace, f"{key}.install", recipe.install, recipe.name)
                await _require_ignored(workspace, recipe)
                await workspace.seal()
                await workspace.keep_layer(name, recipe.keeps)
            return name
        finally:
            await _clear(workspace)

    async def _run(self, workspace: Workspace, key: str, line: str, what: str, wall_s: float = 0.0) -> str:
        """A shell command in a workspace; returns its output."""
        command = self.command(key, line, await self.reach())
        held = await workspace.enter(replace(command, wall_s=wall_s) if wall_s else command)
        ended = await bounded_exit(held, workspace, self.settings, self.outside.room)
        if not ended.ok:
            tail = (held.load_output(4000) + held.load_errors(4000)).decode(errors="replace")
            how = ended.code if ended.why == "exited" else ended.detail
            raise Failure("setup-failed", f"{what} '{line}' failed ({ended.why} {how})", self.redact(tail))
        return held.load_output(64_000).decode(errors="replace")


async def sweep(site: Site) -> None:
    """Clear away what a daemon left that was killed while it installed. Call it before anything is installed."""
    async with site.made.lock(BUILDER):
        for id in await site.workspaces.ids():
            left = await site.workspaces.find(id) if id.startswith(BUILDER) else None
            if left is not None:
                with suppress(HeddleError):  # it is in nobody's way, and looked at again before its like is made
                    await _clear(left)


async def _clear(workspace: Workspace) -> None:
    """Nothing of a workspace that only made a layer is anybody's work."""
    await workspace.seal()
    await workspace.remove()


async def _require_ignored(workspace: Workspace, recipe: Recipe) -> None:
    """What git does not ignore would be taken for the session's own work."""
    kept = set(recipe.keeps)
    for change in (await workspace.changes()).paths:
        found = kept.intersection(change.path.split("/"))
        if found:
            told = (
                f"'{recipe.name}' installs into '{found.pop()}', which git does not ignore here; add it to .gitignore"
            )
            raise Failure("setup-failed", told)
