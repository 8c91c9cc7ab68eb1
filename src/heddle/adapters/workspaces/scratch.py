"""Where the provider `memory` lays a tree out while a process is inside, and what of it git does not hold."""

import base64
import os
import shutil
import stat
from collections.abc import Container, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from heddle.adapters.workspaces.documents import document_names, load_document, place_document

DOCUMENT_LIMIT = 4_000_000


@dataclass(frozen=True, slots=True)
class Scratch:
    """The private folder of one workspace; it exists only during visits."""

    path: Path

    @property
    def tree(self) -> Path:
        """Where the tree is laid out."""
        return self.path / "tree"

    @property
    def out(self) -> Path:
        """Where documents lie."""
        return self.path / "out"

    @property
    def tmp(self) -> Path:
        """The TMPDIR of whoever is inside."""
        return self.path / "tmp"

    def clear(self) -> None:
        """Remove the folder with all that is in it."""
        if self.path.is_dir() and not self.path.is_symlink():
            shutil.rmtree(self.path)

    def make(self, documents: Mapping[str, str]) -> None:
        """The folders around the tree, with documents (name to base64) in place."""
        for folder in (self.path, self.out, self.tmp):
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        for name, data in documents.items():
            place_document(self.out, name, base64.b64decode(data))

    def documents(self) -> dict[str, str]:
        """The plain files of the out folder, as base64 by name."""
        found = {name: load_document(self.out, name, DOCUMENT_LIMIT) for name in document_names(self.out)}
        return {name: base64.b64encode(data).decode() for name, data in found.items() if data is not None}

    def pack(self, held: Container[str]) -> dict[str, list[str]]:
        """What of the tree is not among `held`: ignored files, repositories inside it, empty folders.

        By path: "file", its mode and its base64; "link" and where it leads; or "folder".
        """
        packed: dict[str, list[str]] = {}
        for path in self._leaves():
            name = path.relative_to(self.tree).as_posix()
            if name in held:
                continue
            if path.is_symlink():
                packed[name] = ["link", os.readlink(path)]
            elif path.is_dir():
                packed[name] = ["folder"]
            elif stat.S_ISREG(path.lstat().st_mode):
                data = base64.b64encode(path.read_bytes()).decode()
                packed[name] = ["file", str(stat.S_IMODE(path.lstat().st_mode)), data]
        return packed

    def unpack(self, packed: Mapping[str, list[str]]) -> None:
        """Put packed files where they were."""
        for name, (kind, *told) in packed.items():
            path = self.tree / name
            (path if kind == "folder" else path.parent).mkdir(parents=True, exist_ok=True)
            if kind == "link":
                path.symlink_to(told[0])
            elif kind == "file":
                path.write_bytes(base64.b64decode(told[1]))
                path.chmod(int(told[0]))

    def _leaves(self) -> Iterator[Path]:
        """Everything in the tree that contains nothing; git's pointer at its top is no part of it."""
        for folder, folders, names in os.walk(self.tree):
            here = Path(folder)
            links = [name for name in folders if (here / name).is_symlink()]
            yield from (here / name for name in [*links, *names] if (here, name) != (self.tree, ".git"))
            if not folders and not names:
                yield here
