"""How many lines a change adds and removes, counted as git counts them with its usual algorithm, in this process.

Git looks for the longest common part, but not among all lines: one that has no like on the other side cannot be part
of it, and one that has very many there, in the middle of such, is not tried. The same is left out here. Where git would
begin to guess, nothing is told.
"""

from collections import Counter
from collections.abc import Sequence

BINARY_BYTES = 8_000
"""Git takes for binary what has a zero byte this early."""

FURTHEST = 100
"""Differing lines above which none is looked for here, and far below which git begins to look for less."""

MOST_LINES = 5_000
"""Lines to be compared on both sides: what an agent wrote is not to keep the daemon busy."""

_RARE, _COMMON, _FREQUENT = 0, 1, 2
_WINDOW = 100
_FREQUENT_MOST = 1024


def is_binary(data: bytes) -> bool:
    """Whether git shows no lines of it."""
    return b"\0" in data[:BINARY_BYTES]


def lines_of(data: bytes) -> int:
    """Lines, the last one also where it does not end."""
    return data.count(b"\n") + (not data.endswith(b"\n") and data != b"")


def count(before: bytes, after: bytes) -> tuple[int, int] | None:
    """Inserted and deleted lines of two texts; None when git might tell other numbers than those found here."""
    old, new = _lines(before), _lines(after)
    start, shorter = 0, min(len(old), len(new))
    while start < shorter and old[start] == new[start]:
        start += 1
    end = 0
    while end < shorter - start and old[-1 - end] == new[-1 - end]:
        end += 1
    middle, other = old[start : len(old) - end], new[start : len(new) - end]
    if len(middle) + len(other) > MOST_LINES and middle and other:
        return None
    if middle and other and not set(middle).isdisjoint(other):
        ours, theirs = _tried(middle, Counter(new), len(old)), _tried(other, Counter(old), len(new))
        common = _common(ours, theirs)
    else:
        common = 0
    return None if common is None else (len(other) - common, len(middle) - common)


def _lines(data: bytes) -> list[bytes]:
    """Each with its end; the last may have none."""
    lines = data.split(b"\n")
    last = lines.pop()
    return [*(line + b"\n" for line in lines), *([last] if last else ())]


def _tried(lines: Sequence[bytes], opposite: Counter[bytes], length: int) -> list[bytes]:
    """Those that git tries to find a like for. `length`: lines of their whole file."""
    frequent = min(_root(length), _FREQUENT_MOST)
    kinds = [_RARE if not opposite[line] else _FREQUENT if opposite[line] >= frequent else _COMMON for line in lines]
    return [
        line
        for number, (line, kind) in enumerate(zip(lines, kinds, strict=True))
        if kind == _COMMON or (kind == _FREQUENT and not _is_drowned(kinds, number))
    ]


def _is_drowned(kinds: Sequence[int], number: int) -> bool:
    """Whether a frequent line lies among enough rare ones that it is not tried."""
    before = _run(kinds[max(0, number - _WINDOW) : number][::-1])
    after = _run(kinds[number + 1 : number + 1 + _WINDOW])
    if not before[0] or not after[0]:
        return False
    rare, frequent = before[0] + after[0], before[1] + after[1]
    return frequent * 4 < frequent + rare


def _run(kinds: Sequence[int]) -> tuple[int, int]:
    """Rare and frequent lines up to the first common one; the line itself counts as frequent on both sides."""
    rare, frequent = 0, 1
    for kind in kinds:
        if kind == _COMMON:
            break
        rare, frequent = rare + (kind == _RARE), frequent + (kind == _FREQUENT)
    return rare, frequent


def _root(number: int) -> int:
    """Git's idea of a square root."""
    root = 1
    while number > 0:
        root, number = root << 1, number >> 2
    return root


def _common(old: Sequence[bytes], new: Sequence[bytes]) -> int | None:
    """Length of the longest common subsequence; None when too much differs (Myers' greedy search)."""
    furthest = {1: 0}
    for distance in range(min(FURTHEST, len(old) + len(new)) + 1):
        for diagonal in range(-distance, distance + 1, 2):
            down = diagonal == -distance or (diagonal != distance and furthest[diagonal - 1] < furthest[diagonal + 1])
            x = furthest[diagonal + 1] if down else furthest[diagonal - 1] + 1
            y = x - diagonal
            while x < len(old) and y < len(new) and old[x] == new[y]:
                x, y = x + 1, y + 1
            furthest[diagonal] = x
            if x >= len(old) and y >= len(new):
                return (len(old) + len(new) - distance) // 2
    return None
