"""Moving a branch to a validated commit, safe against crashes, other git commands and unsaved work.

The order is what makes it safe (measured: a ref that moves under a checkout shows there as a staged revert):

1. publish   all objects of `new` are put into the repository
2. prepare   one ref transaction is prepared: it verifies `old` and locks the branch and the records; whoever
             commits meanwhile is refused by git, and if this process dies git itself lets the locks go
3. update    every checkout of the branch moves by a two-tree update; a refusal ends it with nothing moved
4. commit    the transaction moves the branch and writes the records together
5. confirm   the branch is read again

A crash before 4 leaves the branch at `old`, at worst with the landed content staged, and doing it all again
is harmless. A crash after 4 leaves nothing to do. Hooks of the repository do not run here: on the host none
ever does.
"""

from collections.abc import Mapping

from heddle.adapters.git.checkouts import Checkout, Obstacle, TwoTreeUpdate, checkouts
from heddle.adapters.git.objects import Store, require_id
from heddle.adapters.git.process import Dialogue
from heddle.adapters.git.trees import changes
from heddle.core.errors import Bug, HeddleError, OutsideError
from heddle.ports import Advanced, Blocked, MovedOn

BRANCHES = "refs/heads/"


def step(name: str) -> None:
    """Named seam between two steps of a landing: crash tests stop it here."""


class Landing:
    """One landing: the branch (full ref name) from `old` to `new`, with the refs that record it."""

    def __init__(self, store: Store, branch: str, old: str, new: str, records: Mapping[str, str]) -> None:
        self._store = store
        self._ref = branch
        self._old = require_id(old)
        self._new = require_id(new)
        self._records = {ref: require_id(commit) for ref, commit in records.items()}

    async def run(self) -> Advanced | MovedOn | Blocked:
        """Do it, or finish what a crash left. See Repository.advance."""
        actual = await self._store.ref(self._ref)
        if actual not in (self._old, self._new):
            return MovedOn(actual)
        involved, obstacle = await self._involved()
        if actual == self._old and obstacle is not None:
            return Blocked(obstacle.paths, obstacle.detail)
        async with self._store.published(self._new):
            step("published")
            # The checkouts went first, so a branch that is at `new` already leaves at most the record to
            # write; touching a checkout again could undo what the person did there since.
            outcome = await self._move(involved if actual == self._old else (), actual)
        if outcome is not None:
            return outcome
        return await self._confirmed(involved)

    async def _involved(self) -> tuple[tuple[Checkout, ...], Obstacle | None]:
        """The checkouts that must move along, and what forbids to move the branch at all."""
        every = await checkouts(self._store)
        for checkout in every:
            if checkout.rebasing == self._ref and checkout.exists:
                return (), Obstacle((), f"a rebase of the branch is in progress in '{checkout.path}'")
        holding = tuple(checkout for checkout in every if checkout.branch == self._ref)
        away = next((c for c in holding if not c.exists and self._may_return(c)), None)
        if away is not None:
            return (), Obstacle((), f"the branch is checked out in '{away.path}', which cannot be reached")
        return tuple(checkout for checkout in holding if checkout.exists), None

    def _may_return(self, checkout: Checkout) -> bool:
        """Whether a checkout that is not there may still exist elsewhere: git would not prune it."""
        return checkout.git_dir == self._store.common or (checkout.git_dir / "locked").exists()

    async def _move(self, involved: tuple[Checkout, ...], actual: str) -> MovedOn | Blocked | None:
        reason = f"heddle: land {', '.join(ref.rpartition('/')[2] for ref in self._records)}"
        args = ("update-ref", "-m", reason, "-z", "--stdin")
        async with self._store.git.dialogue(*args, place=self._store.public()) as refs:
            try:
                await self._prepare(refs, actual)
            except OutsideError:
                now = await self._store.ref(self._ref)
                if now in (self._old, self._new):
                    raise
                return MovedOn(now)
            step("prepared")
            blocked = await self._update(involved)
            if blocked is not None:
                await refs.ask(b"abort\0")
                return blocked
            step("updated")
            try:
                await refs.ask(b"commit\0")
            except HeddleError:
                await self._put_back(involved)
                raise
            step("committed")
        return None

    async def _prepare(self, refs: Dialogue, actual: str) -> None:
        """Verify and lock all refs in one transaction."""
        lines = [f"update {self._ref}\0{self._new}\0{actual}\0"]
        for ref, commit in self._records.items():
            record = await self._store.ref(ref)
            if record not in ("", commit):
                raise Bug(f"'{ref}' already records another landing", slug="record-taken")
            lines.append(f"update {ref}\0{commit}\0{record or '0' * len(commit)}\0")
        await refs.ask(b"start\0")
        await refs.ask("".join((*lines, "prepare\0")).encode("utf-8", "surrogateescape"))

    async def _update(self, involved: tuple[Checkout, ...]) -> Blocked | None:
        """Move the checkouts: first all of them on trial, then in earnest."""
        if not involved:
            return None
        touched = await changes(self._store, self._old, self._new)
        updates = [TwoTreeUpdate(self._store, checkout, touched) for checkout in involved]
        for update in updates:
            if obstacle := await update.obstacle(self._old, self._new):
                return Blocked(obstacle.paths, obstacle.detail)
        for number, update in enumerate(updates):
            if obstacle := await update.apply(self._old, self._new):
                await self._put_back(involved[:number])
                return Blocked(obstacle.paths, obstacle.detail)
            step("checkout")
        return None

    async def _put_back(self, involved: tuple[Checkout, ...]) -> None:
        """Take checkouts back to `old`, as far as nothing unsaved is in the way; staged content is
        harmless."""
        touched = await changes(self._store, self._new, self._old)
        for checkout in involved:
            await TwoTreeUpdate(self._store, checkout, touched).apply(self._new, self._old)

    async def _confirmed(self, involved: tuple[Checkout, ...]) -> Advanced | MovedOn:
        now = await self._store.ref(self._ref)
        if now != self._new:
            return MovedOn(now)
        return Advanced("updated" if involved else "not-checked-out")
