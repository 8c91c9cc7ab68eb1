"""A holder that kills its process's group and calls it a day."""

import pytest

from heddle.adapters.sandbox import zygote

SHORT_SIGHTED = """
import signal, sys
sys.path.append(sys.argv[2])
from heddle.holder import child, reaper
from heddle.holder.box import minder
def end_group(main):
    reaper.send(main, signal.SIGKILL, group=True)
    return reaper.reap()
child.end_all = minder.end_all = end_group
"""


def apply(monkeypatch: pytest.MonkeyPatch) -> None:
    """What left the group of the process is left alive."""
    monkeypatch.setattr(zygote, "ENTRY", SHORT_SIGHTED + zygote.ENTRY)
