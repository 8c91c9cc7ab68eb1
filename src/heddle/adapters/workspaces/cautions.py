"""What makes an editor, a shell or git run something as soon as somebody opens a tree or goes into it."""

import os
from collections.abc import Iterable, Iterator
from pathlib import Path

from heddle.ports import Caution

LIMIT = 100
"""At most so many are told one by one: a tree may hold them by the thousand."""

FILES = {
    ".envrc": "direnv runs it when a shell enters its folder",
    ".autoenv": "autoenv runs it when a shell enters its folder",
    "mise.toml": "mise may run its hooks when a shell enters its folder",
    ".mise.toml": "mise may run its hooks when a shell enters its folder",
    ".exrc": "vi may run it when it starts there",
    ".nvim.lua": "Neovim may run it when it starts there",
    ".dir-locals.el": "Emacs evaluates it when a file beside it is opened",
    ".vscode/tasks.json": "VS Code may run its tasks when the folder is opened",
    ".vscode/settings.json": "VS Code runs the programs that it names",
}
FOLDERS = {
    ".idea": "JetBrains IDEs run what it names when the project is opened",
    ".devcontainer": "editors run its commands when they open the folder in a container",
}
WORKSPACE = ".code-workspace"
NESTED = "a git repository inside: git that is run in there obeys its configuration"


def cautions(root: Path, refused: Iterable[tuple[str, str]]) -> tuple[Caution, ...]:
    """All that are in the tree at `root`, sorted; no link is followed. `refused`: what was left out of it, and why."""
    found = [Caution(path, f"left out: {why}") for path, why in refused]
    found += sorted(_below(root), key=lambda one: one.path)
    more = len(found) - LIMIT
    return (*found[:LIMIT], Caution(".", f"and {more} more of that kind")) if more > 0 else tuple(found)


def _below(root: Path) -> Iterator[Caution]:
    for folder, folders, files in os.walk(root):
        here = os.path.relpath(folder, root)
        entries = {name.lower(): os.path.normpath(os.path.join(here, name)) for name in (*folders, *files)}
        if here != "." and ".git" in entries:
            yield Caution(entries[".git"], NESTED)
        if {"head", "objects", "refs"} <= entries.keys():
            yield Caution(here, NESTED)
        for name, path in entries.items():
            why = FILES.get(name) or FOLDERS.get(name) or FILES.get(f"{os.path.basename(folder).lower()}/{name}")
            if name.endswith(WORKSPACE) or (name == ".vscode" and os.path.islink(os.path.join(root, path))):
                why = FILES[".vscode/tasks.json"]
            if why is not None:
                yield Caution(path, why)
