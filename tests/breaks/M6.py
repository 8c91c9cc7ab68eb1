"""Git as it comes: hooks and transports on, an identity guessed, a signature forgotten, the person's hooks too."""

import pytest

from heddle.adapters.git import GitRepository, commits, process
from heddle.adapters.git.objects import Store


def apply(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is pinned, and commit-tree is left to its defaults."""

    async def never(store: Store) -> bool:
        return False

    async def no_matter(store: Store) -> None:
        return None

    async def no_hooks(self: GitRepository) -> str:
        return ""

    monkeypatch.setattr(GitRepository, "commit_hooks", no_hooks)
    monkeypatch.setattr(process, "PINS", {})
    monkeypatch.setattr(commits, "_STRICT", {})
    monkeypatch.setattr(commits, "_signs", never)
    monkeypatch.setattr(commits, "_require_identity", no_matter)
