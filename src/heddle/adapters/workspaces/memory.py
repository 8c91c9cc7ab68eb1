"""The fake provider `memory`: between visits a workspace is git objects alone, so nobody can rely on a host path.

One ref, refs/heddle/memory/<id>, is the whole state, and moving it is the only change there is. Its commit's tree is
the working tree; its parents are the head, the index, the result and what else must live; its message tells the rest.
The first process that enters has the tree laid out in a private folder; once the last has ended it is folded back
into the ref, and the folder goes. Meant for tests of what stands on the Workspaces port, and kept small: files that
git does not hold travel in the message.
"""

import asyncio
import base64
import json
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any
from weakref import WeakValueDictionary

from heddle.adapters.workspaces import faults, plain, recovery, results
from heddle.adapters.workspaces.documents import load_document, place_document, require_name
from heddle.adapters.workspaces.folder import require_id
from heddle.adapters.workspaces.include import include, secrets
from heddle.adapters.workspaces.presence import inhabitant, live, within
from heddle.adapters.workspaces.scratch import Scratch
from heddle.core.errors import Refused
from heddle.core.extent import Extent
from heddle.ports import (
    Caution,
    Changes,
    Clock,
    Collected,
    Command,
    Held,
    Ownership,
    Removal,
    Repository,
    Sandbox,
    Snapshot,
    Streams,
    WorkspaceOrder,
    Worktrees,
)

LIVING = "refs/heddle/memory/"
TRASH = "refs/heddle/memory-trash/"


@dataclass(frozen=True, slots=True)
class State:
    """All that a workspace is between two visits, and who visits it."""

    base: str
    start: str
    whole: Snapshot
    result: Snapshot  # by the rules of a result (W8)
    stashed: tuple[str, ...] = ()  # stash entries that were there before it was made
    rest: dict[str, list[str]] = field(default_factory=dict)
    documents: dict[str, str] = field(default_factory=dict)
    keys: tuple[str, ...] = ()
    visit: Ownership | None = None  # the laid-out tree, for the processes of `inside`
    inside: tuple[str, ...] = ()
    sealed: bool = False
    lost: bool = False

    def encoded(self) -> str:
        """As JSON."""
        return json.dumps(asdict(self))

    @classmethod
    def decoded(cls, text: str) -> "State":
        """The way back."""
        told: dict[str, Any] = json.loads(text)
        for name in ("whole", "result"):
            refused = tuple((path, why) for path, why in told[name]["refused"])
            told[name] = Snapshot(**told[name] | {"refused": refused, "also": tuple(told[name]["also"])})
        for name in ("stashed", "keys", "inside"):
            told[name] = tuple(told[name])
        return cls(**told | {"visit": Ownership(**told["visit"]) if told["visit"] else None})


class MemoryWorkspaces:
    """The Workspaces port without a host-visible tree; `scratch` holds what is laid out during visits."""

    provider = "memory"
    layered, caches = False, ""

    def __init__(
        self,
        scratch: Path,
        repository: Repository,
        worktrees: Worktrees,
        sandbox: Sandbox,
        clock: Clock,
        *,
        max_file_bytes: int = 10_000_000,
    ) -> None:
        self.scratch = scratch
        self.repository, self.worktrees, self.sandbox, self.clock = repository, worktrees, sandbox, clock
        self.max_file_bytes = max_file_bytes
        self._locks: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()

    async def has_layer(self, name: str) -> bool:
        """See the port."""
        return False

    async def create(self, order: WorkspaceOrder) -> "MemoryWorkspace":
        """See the port. Raises Refused(slug="workspace-taken"), OutsideError (slug workspace-lost, disk-full)."""
        workspace = self._workspace(order.id, order.base)
        start = order.start or order.base
        async with self.lock(order.id):
            known = await self.load(order.id)
            if known is not None:
                if await self.is_lost(workspace, known):
                    raise faults.lost(order.id, "its tree was deleted while a process was inside")
                if (known.base, known.start) != (order.base, start):
                    raise faults.another(order.id)
                return workspace
            with faults.outside(order.id):
                await workspace.make(order, start)
            return workspace

    async def find(self, id: str) -> "MemoryWorkspace | None":
        """See the port."""
        async with self.lock(id):
            known = await self.load(id)
            workspace = self._workspace(id, known.base if known else "")
            return None if known is None or await self.is_lost(workspace, known) else workspace

    async def ids(self) -> tuple[str, ...]:
        """See the port."""
        return tuple(ref.removeprefix(LIVING) for ref, _ in await self.repository.kept(LIVING))

    async def secrets(self, base: str) -> tuple[str, ...]:
        """See the port."""
        return await secrets(self.repository, base)

    async def restore(self, recovery_ref: str, path: Path) -> None:
        """See the port."""
        await recovery.restore(self.repository, self.worktrees, recovery_ref, path)

    async def empty_trash(self, older_than_s: float) -> int:
        """See the port."""
        deleted = 0
        for ref, _ in await self.repository.kept(TRASH):
            if self.clock.now() - float(ref.rpartition("/")[2]) >= older_than_s:
                await self.repository.forget(ref)
                deleted += 1
        return deleted

    def lock(self, id: str) -> asyncio.Lock:
        """Held by everything that reads or moves the state of one workspace."""
        return self._locks.setdefault(id, asyncio.Lock())

    async def is_lost(self, workspace: "MemoryWorkspace", state: State) -> bool:
        """Whether the tree that was laid out is not there any more, so that nothing can be folded back."""
        if state.visit is None:
            return state.lost
        return await self.worktrees.identify(workspace.scratch.tree) != state.visit

    async def load(self, id: str) -> State | None:
        """The state of a workspace, or None when there is none."""
        require_id(id)
        commit = dict(await self.repository.kept(LIVING + id)).get(LIVING + id)
        return None if commit is None else State.decoded(await self.repository.message(commit))

    async def save(self, id: str, state: State) -> None:
        """Move the ref: from now on this is the state."""
        repository, whole = self.repository, state.whole

        async def held(tree: str) -> str:
            return await repository.commit(tree, [], "held", as_person=False, at=0.0)

        trees = dict.fromkeys((whole.index, state.result.worktree, whole.unmerged))
        parents = [whole.head, *[await held(tree) for tree in trees if tree], *whole.also]
        commit = await repository.commit(whole.worktree, parents, state.encoded(), as_person=False, at=0.0)
        faults.step("state-written")
        await repository.keep(LIVING + id, commit)
        faults.step("state-kept")

    async def discard(self, id: str) -> None:
        """Put a state into the trash."""
        commit = dict(await self.repository.kept(LIVING + id))[LIVING + id]
        await self.repository.keep(f"{TRASH}{id}/{self.clock.now():.6f}", commit)
        faults.step("trashed")
        await self.repository.forget(LIVING + id)
        faults.step("forgotten")

    def _workspace(self, id: str, base: str) -> "MemoryWorkspace":
        require_id(id)
        return MemoryWorkspace(self, id, base)


class MemoryWorkspace:
    """One workspace. `tree` and `out` are where a process inside finds them; outside there is mostly nothing."""

    def __init__(self, house: MemoryWorkspaces, id: str, base: str) -> None:
        self._house = house
        self.id = id
        self.base = base
        self.scratch = Scratch(house.scratch / id)
        self.tree = str(self.scratch.tree)
        self.out = str(self.scratch.out)
        self.hooks = ""

    async def make(self, order: WorkspaceOrder, start: str) -> None:
        """Write the first state. Whatever a crash left in the private folder goes."""
        house = self._house
        tree = await house.repository.tree_of(start)
        fresh = Snapshot(start, "", tree, tree)
        state = State(order.base, start, fresh, fresh, await house.worktrees.stash_entries(""))
        await self._lay_out(state)
        if order.include:
            await include(house.repository, order.base, self.scratch.tree, self.scratch.tmp)
        await house.save(self.id, await self._read(state))
        await self._clear()

    async def enter(self, command: Command) -> Held:
        """See the port."""
        async with self._house.lock(self.id):
            state = await self._settled()
            cwd = within(self.tree, command.cwd)
            if await self._house.sandbox.find(command.key) is None:
                if state.sealed:
                    raise faults.sealed(self.id)
                with faults.outside(self.id):
                    await self._admit(state, command.key)
            env = {"HEDDLE_OUT": self.out, "TMPDIR": str(self.scratch.tmp), **command.env}
            return await self._house.sandbox.start(replace(command, cwd=cwd, env=env))

    async def put(self, name: str, data: bytes) -> str:
        """See the port."""
        require_name(name)
        async with self._house.lock(self.id):
            state = await self._settled()
            with faults.outside(self.id):
                if state.visit is not None:
                    place_document(self.scratch.out, name, data)
                documents = state.documents | {name: base64.b64encode(data).decode()}
                await self._house.save(self.id, replace(state, documents=documents))
        return str(self.scratch.out / name)

    async def taken(self, name: str, limit: int = 1_000_000) -> bytes | None:
        """See the port."""
        require_name(name)
        async with self._house.lock(self.id):
            state = await self._settled()
            if state.visit is not None:
                return load_document(self.scratch.out, name, limit)
            data = state.documents.get(name)
            return None if data is None else base64.b64decode(data)[:limit]

    async def extent(self, enough: Extent) -> Extent | None:
        """See the port: between visits nothing lies here at all."""
        return None

    def ports(self) -> range:
        """See the port: it leases none."""
        return range(0)

    async def dial(self, port: int) -> Streams:
        """See the port."""
        faults.require_leased(self.id, port, self.ports())
        return await self._house.sandbox.dial_here(port)

    async def changes(self) -> Changes:
        """See the port."""
        async with self._house.lock(self.id):
            state = await self._now()
            return await results.changes(self._house.repository, self.base, state.result)

    async def collect(self, message: str) -> Collected:
        """See the port."""
        async with self._house.lock(self.id):
            state = await self._now()
            with faults.outside(self.id):
                return await results.collect(self._house.repository, self.id, self.base, state.result, message)

    async def seal(self) -> None:
        """See the port."""
        async with self._house.lock(self.id):
            state = await self._house.load(self.id)
            if state is None:
                return
            with faults.outside(self.id):
                if not state.sealed:
                    await self._house.save(self.id, replace(state, sealed=True))
                for held in await live(self._house.sandbox, state.keys):
                    await held.stop(grace_s=2.0)
                    faults.step("stopped-one")

    async def vacate(self) -> bool:
        """See the port: with the last process the laid-out tree goes."""
        async with self._house.lock(self.id):
            return (await self._settled()).visit is None

    async def autosave(self) -> bool:
        """See the port."""
        return False

    async def keep_layer(self, name: str, folders: tuple[str, ...]) -> None:
        """See the port."""
        raise faults.no_layers(self.id)

    async def remove(self) -> Removal:
        """See the port."""
        house = self._house
        async with house.lock(self.id):
            state = await self._settled()
            if state.visit is not None:
                raise faults.in_use(self.id, await self._visitor(state))
            with faults.outside(self.id):
                ref = await self._keep(state)
                faults.step("recovery-kept")
                await house.discard(self.id)
                await self._clear()
        return Removal(ref, trashed=True)

    async def export(self, path: Path) -> tuple[Caution, ...]:
        """See the port."""
        async with self._house.lock(self.id):
            state = await self._now()
            with faults.outside(self.id):
                return await plain.lay_out(self._house.worktrees, path, "export", self.id, state.whole)

    async def _keep(self, state: State) -> str:
        house, whole = self._house, state.whole
        stash = await recovery.stash_since(house.worktrees, whole.branch, state.stashed)
        return await recovery.keep_unkept(house.repository, self.id, self.base, state.start, whole, stash)

    async def _admit(self, state: State, key: str) -> None:
        """Have the tree laid out, and `key` known to be inside, before its process starts."""
        visit = state.visit or await self._lay_out(state)
        keys, inside = (tuple(dict.fromkeys((*known, key))) for known in (state.keys, state.inside))
        await self._house.save(self.id, replace(state, keys=keys, inside=inside, visit=visit))

    async def _settled(self) -> State:
        """The state, after what ended has been folded back. Raises OutsideError(slug="workspace-lost")."""
        state = await self._house.load(self.id)
        if state is None:
            raise faults.lost(self.id, "nothing keeps its state")
        if state.visit is not None:
            with faults.outside(self.id):
                state = await self._fold(state)
        if state.lost:
            raise faults.lost(self.id, "its tree was deleted or replaced while a process was inside")
        return state

    async def _now(self) -> State:
        """The state as the tree is at this moment, also while somebody is inside."""
        state = await self._settled()
        return state if state.visit is None else await self._read(state)

    async def _fold(self, state: State) -> State:
        """Take back what the processes left, once all of them have ended; the state itself while one lives."""
        lost = await self._house.is_lost(self, state)
        if not lost and await self._visitor(state):
            return state
        folded = replace(state if lost else await self._read(state), visit=None, inside=(), lost=lost)
        await self._house.save(self.id, folded)
        await self._clear()
        return folded

    async def _visitor(self, state: State) -> str:
        """Who is inside, or ""."""
        for held in await live(self._house.sandbox, state.inside):
            return f"'{held.key}' lives"
        pid = inhabitant(self.scratch.path)
        return f"process {pid} is in it" if pid else ""

    async def _read(self, state: State) -> State:
        """The laid-out tree as a state."""
        snapshot = self._house.worktrees.snapshot
        whole = await snapshot(self.scratch.tree)
        whole = replace(whole, also=tuple(dict.fromkeys((*whole.also, *state.whole.also))))
        result = await snapshot(self.scratch.tree, base=self.base, size_limit=self._house.max_file_bytes)
        holder = await self._house.repository.commit(whole.worktree, [], "held", as_person=False, at=0.0)
        held = frozenset(await self._house.repository.list_files(holder))
        rest = await asyncio.to_thread(self.scratch.pack, held)
        return replace(state, whole=whole, result=result, rest=rest, documents=self.scratch.documents())

    async def _lay_out(self, state: State) -> Ownership:
        await self._clear()
        self.scratch.make(state.documents)
        faults.step("folder-made")
        branch = state.whole.branch or None
        owned = await self._house.worktrees.add(self.scratch.tree, state.whole.head, self._admin, branch)
        faults.step("tree-made")
        await self._house.worktrees.fill(self.scratch.tree, state.whole)
        self.scratch.unpack(state.rest)
        faults.step("tree-filled")
        return owned

    async def _clear(self) -> None:
        """The tree is objects again: folder and admin folder go."""
        if self.scratch.path.is_symlink():
            raise Refused(
                f"'{self.scratch.path}' is a link", slug="not-ours", hint="look at what is there; nothing was removed"
            )
        self.scratch.clear()
        faults.step("folder-cleared")
        await self._house.worktrees.drop_admin(self.scratch.tree, self._admin)

    @property
    def _admin(self) -> str:
        return f"memory-{self.id}"
