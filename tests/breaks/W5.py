"""New objects lie where git's housekeeping finds them before a ref keeps them, and no ref keeps what sessions rest on."""

from pathlib import Path

import pytest

from heddle.adapters.git import GitRepository
from heddle.adapters.git.objects import Store
from heddle.adapters.workspaces.instant.bases import KEEP


def apply(monkeypatch: pytest.MonkeyPatch) -> None:
    """There is no nursery: objects are born among the repository's own; and nothing keeps what sessions borrow."""

    def born(self: Store) -> tuple[Path | None, Path | None]:
        return None, None

    async def keep(self: GitRepository, ref: str, commit: str) -> None:
        if not ref.startswith((KEEP, "refs/heddle/clones/")):
            await real(self, ref, commit)

    real = GitRepository.keep
    monkeypatch.setattr(Store, "born", born)
    monkeypatch.setattr(GitRepository, "keep", keep)
