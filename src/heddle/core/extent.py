"""How much a session wrote, how much it may write, and how much its disk still takes."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Extent:
    """Bytes on disk, and how many files hold them; a folder or a link counts as a file."""

    bytes: int
    files: int

    def beyond(self, limit: "Extent") -> str:
        """What is said of an extent that is past `limit`; "" for one that is not."""
        if self.bytes > limit.bytes:
            return f"wrote {self}; the limit is {size(limit.bytes)}"
        if self.files > limit.files:
            return f"wrote {_count(self.files)} ({size(self.bytes)}); the limit is {_count(limit.files)}"
        return ""

    def __str__(self) -> str:
        return f"{size(self.bytes)} in {_count(self.files)}"

    def union(self, other: "Extent") -> "Extent":
        """The greater of each."""
        return Extent(max(self.bytes, other.bytes), max(self.files, other.files))

    def times(self, factor: int) -> "Extent":
        """So many times as much."""
        return Extent(self.bytes * factor, self.files * factor)


@dataclass(frozen=True, slots=True)
class Disk:
    """What is left of a disk, and the bytes of it that are kept free."""

    left: Extent
    kept: int

    @property
    def nearly_full(self) -> str:
        """Why nothing may write on: half of what is kept free is gone as well; "" while it is not."""
        if self.left.bytes >= self.kept // 2:
            return ""
        return f"the disk has {size(self.left.bytes)} left and {size(self.kept)} are kept free"

    @property
    def has_room(self) -> bool:
        """Whether what is kept free is free again."""
        return self.left.bytes >= self.kept

    def lost(self, before: "Disk") -> bool:
        """Whether something was written since."""
        return self.left.bytes < before.left.bytes or self.left.files < before.left.files


def size(count: int) -> str:
    """Bytes in the unit in which they are read best: 5.2 GB."""
    for unit, bytes in (("GB", 10**9), ("MB", 10**6), ("KB", 10**3)):
        if count >= bytes:
            return f"{count / bytes:.1f}".removesuffix(".0") + f" {unit}"
    return f"{count} bytes"


def _count(files: int) -> str:
    return "1 file" if files == 1 else f"{files:,} files"
