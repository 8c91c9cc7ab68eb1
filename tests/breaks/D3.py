"""A holder that takes the lock if it can, and starts in any case."""

import pytest

from heddle.adapters.sandbox import zygote

GREEDY = """
import sys
sys.path.append(sys.argv[2])
from heddle.holder import supervisor
supervisor.claim = lambda folder: (folder.take_lock(), "")[1]
"""


def apply(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every start of a key starts a process."""
    monkeypatch.setattr(zygote, "ENTRY", GREEDY + zygote.ENTRY)
