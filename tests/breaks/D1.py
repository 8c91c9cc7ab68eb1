"""A holder that writes whatever comes, as long as it has somewhere to write; notes without regard to what was heard, and answers
whose giving is on no record.
"""

import pytest

from heddle.adapters.sandbox import zygote
from heddle.core.notes import Note
from heddle.core.run import Run
from heddle.engine.asking import Asking
from heddle.engine.noting import Noting
from heddle.engine.runs import Runs

CARELESS = """
import sys
sys.path.append(sys.argv[2])
from heddle.holder.supervisor import Supervisor
Supervisor.takes = lambda self, id: self.child.stdin >= 0
"""


def apply(monkeypatch: pytest.MonkeyPatch) -> None:
    """Messages that were sent before, or whose reader is dead, are written all the same; that nothing was to be told is
    forgotten, and nothing is evidence that a message was heard.
    """
    monkeypatch.setattr(zygote, "ENTRY", CARELESS + zygote.ENTRY)
    give = Noting._give

    async def forgetful(self: Noting, run: Run, session: str, turn: int, new: tuple[Note, ...]) -> tuple[Note, ...]:
        return await give(self, run, session, turn, new) if new else ()

    async def unrecorded(self: Asking, turn: int, choose: object) -> Run:
        return self._run

    monkeypatch.setattr(Noting, "_give", forgetful)
    monkeypatch.setattr(Asking, "_give", unrecorded)
    monkeypatch.setattr(Runs, "heard", lambda self, session: 0)
