"""A hint that destroys."""

import tempfile
from pathlib import Path

import pytest

from support import house


def apply(monkeypatch: pytest.MonkeyPatch) -> None:
    """A tree of sources with a destructive command in it stands in for ours."""
    folder = Path(tempfile.mkdtemp(prefix="hd-"))
    (folder / "bad.py").write_text(f'HINT = "clean up with: rm {"-"}rf ~"')
    monkeypatch.setattr(house, "SOURCE", folder)
