"""One network for all."""

import pytest

from heddle.adapters.sandbox import zygote

SHARED = """
import sys
sys.path.append(sys.argv[2])
from heddle.holder.box import kernel
kernel.NEW_ALL &= ~0x40000000
"""


def apply(monkeypatch: pytest.MonkeyPatch) -> None:
    """Boxes are made without a network namespace of their own."""
    monkeypatch.setattr(zygote, "ENTRY", SHARED + zygote.ENTRY)
