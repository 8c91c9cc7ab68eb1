"""The RulesCheckout port on a folder. What git knows of it is asked of whoever is handed in."""

import asyncio
import errno
import os
import stat
import tempfile
from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Protocol

from heddle.core.errors import OutsideError, Refused
from heddle.core.rules.files import MOST_BYTES, RuleFile
from heddle.core.rules.loading import upward
from heddle.core.rules.syncing import Write


class Listing(Protocol):
    """What git knows of a checkout."""

    async def listed(self) -> tuple[tuple[str, ...], bool]:
        """Tracked files and untracked ones that are not ignored; and whether these are all."""
        ...

    async def ignores(self, paths: Iterable[str]) -> frozenset[str]:
        """Those of the paths that git would ignore."""
        ...

    async def at_head(self, path: str) -> bytes | None:
        """What the current commit holds at a path; None: no plain file."""
        ...


class FolderCheckout:
    """See the port. `top` is the checkout's folder."""

    def __init__(self, top: Path, listing: Listing) -> None:
        self._top = Path(os.path.realpath(top))
        self._listing = listing

    async def paths(self) -> tuple[tuple[str, ...], bool]:
        """See the port."""
        return await self._listing.listed()

    async def read(self, paths: Iterable[str]) -> tuple[RuleFile, ...]:
        """See the port."""
        wanted = tuple(dict.fromkeys(paths))
        found = await asyncio.to_thread(lambda: [self._read(path) for path in wanted])
        return tuple(file for file in found if file is not None)

    def _read(self, path: str) -> RuleFile | None:
        place = self._top / path
        try:
            named = os.path.lexists(place)
            real = Path(os.path.realpath(place))
        except (OSError, ValueError):
            return None
        if not named:
            return None
        inner = self._inner(real)
        if inner is None:
            return RuleFile(path, "", trouble="a symbolic link that leads out of the repository; it is not followed")
        link = inner if inner != path else ""
        try:
            about = real.stat()
            if not stat.S_ISREG(about.st_mode):
                return RuleFile(path, "", link=link, trouble="no plain file")
            if about.st_size > MOST_BYTES:
                return RuleFile(path, "", about.st_size, link, f"{about.st_size} bytes: more than any agent reads")
            return _decoded(path, real.read_bytes(), link)
        except OSError as error:
            return RuleFile(path, "", link=link, trouble=f"it cannot be read: {error.strerror}")

    def _inner(self, real: Path) -> str | None:
        """A real path as from the top; None when it is elsewhere, or in git's own folder."""
        if not real.is_relative_to(self._top) or real == self._top:
            return None
        parts = real.relative_to(self._top).parts
        return None if parts[0] == ".git" else "/".join(parts)

    async def there(self, places: Iterable[str]) -> frozenset[str]:
        """See the port."""
        wanted = tuple(dict.fromkeys(places))
        known = frozenset((await self.paths())[0])
        here = await asyncio.to_thread(lambda: {path for path in wanted if self._exists(path)})
        hidden = {path for path in wanted if any(above in known for above in upward(path)[1:])}
        return frozenset(here | hidden | await self._listing.ignores(set(wanted) - here - hidden))

    def _exists(self, path: str) -> bool:
        try:
            return os.path.lexists(self._top / path)
        except (OSError, ValueError):
            return False

    async def committed(self, paths: Iterable[str]) -> Mapping[str, str | None]:
        """See the port."""
        told: dict[str, str | None] = {}
        for path in paths:
            data = await self._listing.at_head(path)
            told[path] = None if data is None else data.decode(errors="replace")
        return told

    async def write(self, writes: Iterable[Write]) -> None:
        """See the port."""
        wanted = tuple(writes)
        try:
            await asyncio.to_thread(self._write_all, wanted)
        except OSError as error:
            raise OutsideError(
                f"'{error.filename or self._top}': {error.strerror}",
                slug="rules-unwritable",
                hint="make room for it, then try again: heddle rules sync --write",
            ) from error

    def _write_all(self, writes: tuple[Write, ...]) -> None:
        for one in writes:
            self._require_plain(one)
        for one in writes:
            _replace(self._top / one.path, one)

    def _require_plain(self, one: Write) -> None:
        """Raises Refused when the place is not as it was when the text was made, or is reached through a link."""
        place = self._top / one.path
        if Path(os.path.realpath(place)) != place:
            hint = "make it a plain file in a plain folder, then: heddle rules sync"
            raise Refused(f"'{one.path}' is reached through a symbolic link", slug="rules-outside", hint=hint)
        now = self._read(one.path)
        if (now.text if now and not now.trouble else None) != one.before or (now and now.trouble):
            hint = "see what is there now: heddle rules sync"
            raise Refused(f"'{one.path}' changed meanwhile; nothing was written", slug="rules-moved", hint=hint)


def _decoded(path: str, data: bytes, link: str) -> RuleFile:
    try:
        text = data.decode()
    except UnicodeDecodeError as error:
        return RuleFile(path, "", len(data), link, f"it is not UTF-8 (byte {error.start})")
    trouble = "it holds a zero byte: agents take it for no text" if "\0" in text else ""
    return RuleFile(path, "" if trouble else text, len(data), link, trouble)


def _replace(place: Path, one: Write) -> None:
    """Whole or not at all; what came to be there meanwhile is not run over when nothing was there."""
    place.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(prefix=f".{place.name}.", dir=place.parent)
    try:
        with open(handle, "wb") as scratch:
            scratch.write(one.text.encode())
            scratch.flush()
            os.fsync(scratch.fileno())
        if one.before is None:
            os.chmod(name, 0o644)
            _put_new(name, place)
        else:
            os.chmod(name, stat.S_IMODE(place.stat().st_mode))
            os.replace(name, place)
    finally:
        with suppress(FileNotFoundError):
            os.unlink(name)


def _put_new(name: str, place: Path) -> None:
    try:
        os.link(name, place)
    except OSError as error:
        if error.errno in (errno.EPERM, errno.EOPNOTSUPP, errno.ENOTSUP):  # a file system without hard links
            os.rename(name, place)
        else:
            raise
