"""Running the agreed checks on a commit: in a clean workspace, each failure tried once more before it is believed."""

import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace

from heddle.core.gate import CheckResult, Colour, Verdict
from heddle.engine.installing import Installer
from heddle.engine.sizewatch import TOO_LARGE, bounded_exit
from heddle.ports import Workspace

TAIL = 6000

UNCHANGED = "(tree unchanged by the checks)"
"""What stands for the finding that checks changed tracked files."""


@dataclass(frozen=True, slots=True)
class Checked:
    """What the checks said. `flakes`: those that failed once, and passed when they were run again."""

    results: tuple[CheckResult, ...]
    flakes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Checking:
    """Runs checks; `place` makes the clean workspace for a key, or finds it again after a crash."""

    installer: Installer
    checks: Sequence[str]
    place: Callable[[str], Awaitable[Workspace]]

    async def run(self, key: str) -> Checked:
        """Every check, in its order. A red one is run again; when it passes then, only a whole green pass counts."""
        workspace = await self.place(key)
        results = await self._pass(workspace, key)
        red = next((one for one in results if one.colour is Colour.RED and one.command != UNCHANGED), None)
        if red is None:
            return Checked(results)
        again = await self._check(workspace, f"{red.evidence}-again", red.command)
        if again.colour is not Colour.GREEN:
            return Checked(results)
        fresh = f"{key}-again"
        return Checked(await self._pass(await self.place(fresh), fresh), (red.command,))

    async def _pass(self, workspace: Workspace, key: str) -> tuple[CheckResult, ...]:
        await self.installer.set_up(workspace, key)
        before = {change.path for change in (await workspace.changes()).paths}
        results: list[CheckResult] = []
        for number, line in enumerate(self.checks, start=1):
            results.append(await self._check(workspace, f"{key}.check-{number}", line))
        if all(result.colour is Colour.GREEN for result in results):
            changed = [c.path for c in (await workspace.changes()).paths if c.kind != "added" and c.path not in before]
            if changed:
                told = f"the checks changed tracked files: {', '.join(changed[:5])}"
                results.append(CheckResult(UNCHANGED, Colour.RED, None, 0.0, told))
        return tuple(results)

    async def _check(self, workspace: Workspace, key: str, line: str) -> CheckResult:
        began, installer = time.monotonic(), self.installer
        held = await workspace.enter(installer.command(key, line, await installer.reach()))
        ended = await bounded_exit(held, workspace, installer.settings, installer.outside.room)
        output = held.load_output(TAIL) + held.load_errors(TAIL)
        tail = installer.redact(output.decode(errors="replace"))[-TAIL:]
        seconds = round(time.monotonic() - began, 3)
        if ended.why == "exited":
            colour = Colour.GREEN if ended.ok else Colour.RED
        else:
            own = ended.why in ("wall-limit", TOO_LARGE)
            colour, tail = Colour.RED if own else Colour.UNKNOWN, f"{ended.why} {ended.detail}\n{tail}"
        return CheckResult(line, colour, ended.code, seconds, tail, key)


def judged(verdict: Verdict, checked: Checked) -> Verdict:
    """The verdict that the results make: one red is red, else one unknown is unknown, else green."""
    results = checked.results
    for colour in (Colour.RED, Colour.UNKNOWN):
        bad = [result for result in results if result.colour is colour]
        if bad:
            reason = f"check '{bad[0].command}' is {colour} (exit {bad[0].exit})\n{bad[0].tail}".strip()
            return replace(verdict, colour=colour, results=results, reason=reason, flakes=checked.flakes)
    return replace(verdict, colour=Colour.GREEN, results=results, flakes=checked.flakes)
