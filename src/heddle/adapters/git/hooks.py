"""Which commit hooks the person has. They are never run here: only looked for, so that a box can show them."""

import os
from pathlib import Path

from heddle.adapters.git.objects import Store

COMMIT_HOOKS = ("pre-commit", "prepare-commit-msg", "commit-msg")


async def commit_hooks(store: Store, here: Path) -> str:
    """The folder of the person's hooks when it holds one that git would run for a commit made `here`; else ""."""
    told = await store.run("config", "--show-scope", "--null", "--type=path", "--get-all", "core.hooksPath", ok=(0, 1))
    fields = told.fields
    values = [path for scope, path in zip(fields[::2], fields[1::2], strict=False) if scope != "command"]  # not our pin
    folder = here / values[-1] if values else store.common / "hooks"
    found = any((folder / name).is_file() and os.access(folder / name, os.X_OK) for name in COMMIT_HOOKS)
    return str(folder) if found else ""
