"""One network for all, the same names for all, and no count of what runs."""

import pytest

from heddle.adapters.sandbox import zygote
from heddle.adapters.workspaces.apart import PortBlocks
from heddle.engine.world import Worlds

SHARED = """
import sys
sys.path.append(sys.argv[2])
from heddle.holder.box import kernel
kernel.NEW_ALL &= ~0x40000000
"""


def apply(monkeypatch: pytest.MonkeyPatch) -> None:
    """Boxes have no network namespace of their own, every lease is the same one, nothing counts as active."""
    monkeypatch.setattr(zygote, "ENTRY", SHARED + zygote.ENTRY)
    monkeypatch.setattr(PortBlocks, "lease", lambda self, owner: range(20_000, 20_020))
    monkeypatch.setattr(Worlds, "_active", lambda self, stages: 0)
