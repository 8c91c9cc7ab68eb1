"""A repository whose new objects lie where git's housekeeping finds them before a ref keeps them."""

from pathlib import Path

import pytest

from heddle.adapters.git.objects import Store


def apply(monkeypatch: pytest.MonkeyPatch) -> None:
    """There is no nursery: objects are born among the repository's own."""

    def born(self: Store) -> tuple[Path | None, Path | None]:
        return None, None

    monkeypatch.setattr(Store, "born", born)
