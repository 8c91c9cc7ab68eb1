"""Watching how much is written while it is written: a resource limit bounds one file, nothing bounds many.

A session that passes its limit is frozen and asked about. Of what works without a person (checks, set-up, hooks) the
process is ended, and its exit says why.
"""

import asyncio
import logging
from contextlib import suppress
from dataclasses import dataclass, replace

from heddle.core import events as e
from heddle.core.errors import HeddleError
from heddle.core.extent import Disk, Extent
from heddle.core.run import END, GO_ON, Run
from heddle.core.settings import Settings
from heddle.engine.runs import Runs
from heddle.engine.site import Room
from heddle.ports import Exit, Held, Workspace

log = logging.getLogger("heddle.size")

PAUSE_S = 2.0
"""At least so long between two looks at one workspace, or at the disk."""

SHARE = 20.0
"""A look that takes t seconds is followed by a pause of at least so many t."""

LONGEST_S = 60.0
"""So often it is looked at although the disk does not tell of anything written: not every disk tells at once."""

FURTHER = 8
"""Of what is frozen it is counted up to so many times its limit, to tell the person."""

TOO_LARGE, DISK_LOW = "too-large", "disk-low"
"""Why something is frozen or ended: what it wrote itself, or what is left of the disk."""


@dataclass(frozen=True, slots=True)
class Excess:
    """What is too much: TOO_LARGE or DISK_LOW, and in words."""

    slug: str
    why: str


class Meter:
    """Tells when too much is written in one workspace. It looks when the disk has less left than before."""

    def __init__(self, workspace: Workspace, room: Room) -> None:
        self.workspace, self.room = workspace, room
        self._disk: Disk | None = None
        self._wrote = True
        self._looked = self._earliest = float("-inf")

    async def excess(self, limit: Extent, *, heed_disk: bool = True) -> Excess:
        """Wait until there is one."""
        while True:
            disk = self.room.disk()
            if heed_disk and disk is not None and disk.nearly_full:
                return Excess(DISK_LOW, disk.nearly_full)
            if self._is_due(disk):
                wrote = await self.count(limit)
                if wrote is not None and (why := wrote.beyond(limit)):
                    return Excess(TOO_LARGE, why)
            await asyncio.sleep(PAUSE_S)

    async def count(self, enough: Extent) -> Extent | None:
        """What was written, up to `enough`; None where that cannot be told."""
        clock = asyncio.get_running_loop().time
        began = clock()
        try:
            wrote = await self.workspace.extent(enough)
        except HeddleError as error:
            log.info("no look", extra={"workspace": self.workspace.id, "slug": error.slug})
            wrote = None
        self._wrote, self._looked = False, clock()
        self._earliest = self._looked + SHARE * (self._looked - began)
        return wrote

    def _is_due(self, disk: Disk | None) -> bool:
        """Whether something may have been written since the last look, and the last one is paid for."""
        self._wrote |= disk is None or self._disk is None or disk.lost(self._disk)
        self._disk = disk
        now = asyncio.get_running_loop().time()
        return now >= self._earliest and (self._wrote or now >= self._looked + LONGEST_S)


async def bounded_exit(held: Held, workspace: Workspace, settings: Settings, room: Room) -> Exit:
    """Wait for the end of a process that nobody is asked about; past the limit it is ended, and its exit says why."""
    watching = asyncio.create_task(Meter(workspace, room).excess(settings.workspace))
    ending = asyncio.create_task(held.exit())
    try:
        await asyncio.wait({watching, ending}, return_when=asyncio.FIRST_COMPLETED)
        if ending.done():
            return ending.result()
        await held.stop(0.0, watching.result().slug, watching.result().why)
        return with_cause(await ending, watching.result())
    finally:
        watching.cancel()
        ending.cancel()


def with_cause(ended: Exit, excess: Excess | None) -> Exit:
    """An exit with the excess that it came from: a holder of an older Heddle did not write that down."""
    if excess is None or ended.why != "stopped":
        return ended
    return replace(ended, why=excess.slug, detail=excess.why)


class SizeWatch:
    """Keeps one session within what its workspace may hold: freezes it, asks, and does what the person says.

    All that it knows is in the journal and in the holder, so that the next daemon goes on where this one ended.
    """

    def __init__(self, runs: Runs, task: str, session: str, held: Held, meter: Meter, limit: Extent) -> None:
        self.runs, self.task, self.session = runs, task, session
        self.held, self.meter, self.limit = held, meter, limit
        self.ended_for: Excess | None = None
        self._frozen = self._was_frozen = False

    def was_frozen(self) -> bool:
        """Whether the session is frozen, or was at any time since this was asked last."""
        was, self._was_frozen = self._was_frozen, self._frozen
        return was

    async def serve(self) -> None:
        """Until cancelled, or the session has ended."""
        while self.held.ended() is None:
            try:
                await self._step()
            except HeddleError as error:
                log.warning("no watch", extra={"session": self.session, "slug": error.slug})
                await asyncio.sleep(PAUSE_S)

    async def _step(self) -> None:
        position, run = self.runs.journal.position(), self.runs.require(self.task)
        asked = self._asked()
        last, answer = asked[-1] if asked else (None, "")
        if last is not None and answer == END:
            await self._end(Excess(_slug(last), last.why))
        elif last is not None and any(question.id == last.question for question in run.questions):
            await self._wait(last, position)
        else:
            await self._go_on([event for event, answer in asked if answer == GO_ON], len(asked) + 1)

    def _asked(self) -> list[tuple[e.SessionFrozen, str]]:
        """Each time that something was frozen in this workspace, with the person's answer, if there was one."""
        decided = dict(self.runs.require(self.task).decided)
        events = (record.event for record in self.runs.history(self.task))
        mine = f"{self.meter.workspace.id}:"
        found = [event for event in events if isinstance(event, e.SessionFrozen) and event.question.startswith(mine)]
        return [(event, decided.get(event.question, "")) for event in found]

    async def _go_on(self, granted: list[e.SessionFrozen], number: int) -> None:
        """Let it work until there is an excess, then freeze it and ask; `number` is that of the question."""
        await self.held.thaw()
        self._frozen = False
        limit = self.limit
        for event in granted:
            limit = limit.union(event.wrote).times(2) if _slug(event) == TOO_LARGE else limit
        heed_disk = all(_slug(event) != DISK_LOW for event in granted)
        excess = await self.meter.excess(limit, heed_disk=heed_disk)
        if not await self._freeze(excess):
            return
        wrote = await self.meter.count(limit.times(FURTHER))
        if excess.slug == TOO_LARGE:
            why = wrote.beyond(limit) if wrote is not None else ""
        else:
            why = excess.why if wrote is None else f"{excess.why}; it wrote {wrote}"
        if why and self.held.ended() is None:  # it may have cleared up before it was frozen
            question = f"{self.meter.workspace.id}:{excess.slug}-{number}"
            await self._ask(e.SessionFrozen(question, why, self.session, wrote or Extent(0, 0)))

    async def _ask(self, frozen: e.SessionFrozen) -> None:
        """Record it. A disk that is full may keep it from that: what is frozen stays so until it can be asked about."""
        while True:
            try:
                await self.runs.record(self.task, frozen)
                return
            except HeddleError as error:
                log.warning("not asked", extra={"session": self.session, "slug": error.slug})
                await asyncio.sleep(PAUSE_S)

    async def _freeze(self, excess: Excess) -> bool:
        """Freeze it; what cannot be frozen is ended, and that is said."""
        self._frozen = self._was_frozen = True
        if await self.held.freeze():
            return True
        await self._end(replace(excess, why=f"{excess.why}; it could not be frozen, so it was ended"))
        return False

    async def _wait(self, last: e.SessionFrozen, position: int) -> None:
        """Until the person answers, or the disk has room again."""
        if not self._frozen and not await self._freeze(Excess(_slug(last), last.why)):
            return
        for_disk = _slug(last) == DISK_LOW
        disk = self.meter.room.disk() if for_disk else None
        if disk is not None and disk.has_room:
            await self.runs.record_if(self.task, lambda run: _withdrawal(run, last.question))
            return
        with suppress(TimeoutError):
            async with asyncio.timeout(PAUSE_S if for_disk else None):
                await self.runs.journal.wait(position)

    async def _end(self, excess: Excess) -> None:
        self.ended_for = excess
        await self.held.stop(0.0, excess.slug, excess.why)


def _slug(event: e.SessionFrozen) -> str:
    """Which excess it was frozen for."""
    return event.question.rpartition(":")[2].rpartition("-")[0]


def _withdrawal(run: Run, question: str) -> list[e.Event]:
    """The end of a question that is still open."""
    return [e.QuestionWithdrawn(question)] if any(one.id == question for one in run.questions) else []
