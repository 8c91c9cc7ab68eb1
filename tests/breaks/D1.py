"""A holder that writes whatever comes, as long as it has somewhere to write."""

import pytest

from heddle.adapters.sandbox import zygote

CARELESS = """
import sys
sys.path.append(sys.argv[2])
from heddle.holder.supervisor import Supervisor
Supervisor.takes = lambda self, id: self.child.stdin >= 0
"""


def apply(monkeypatch: pytest.MonkeyPatch) -> None:
    """Messages that were sent before, or whose reader is dead, are written all the same."""
    monkeypatch.setattr(zygote, "ENTRY", CARELESS + zygote.ENTRY)
