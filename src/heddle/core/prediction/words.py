"""What the words of a task say of files: words that tell, and files that it names."""

import re
from collections import defaultdict

LONGEST = 4_000
"""Characters of a text that are read; what comes after repeats itself."""

_MOST_NAMED = 12
_MOST_OF_ONE_NAME = 3
_WORD = re.compile(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])|\d{2,}")
_PATH = re.compile(r"[\w][\w./-]*\.\w+|[\w-]+(?:/[\w.-]+)+|\w+(?:\.\w+)+")
_STOP = frozenset(
    re.findall(
        r"\w+",
        "the and for with that this from into not are was has have when will should can may use used uses make "
        "makes made add adds added fix fixes fixed remove removed update updated change changed changes support "
        "allow allows instead also more some all any new only now than then them they its but via per see now way "
        "out off over same such being been does done get set pull request merge branch signed reviewed authored "
        "co com github http https www org issue closes fixes refs ",
    )
)


def tokens(text: str) -> frozenset[str]:
    """The words of a text that tell something, each in one form: parts of names are words, too."""
    found = (word.lower() for word in _WORD.findall(text[:LONGEST]))
    return frozenset(_bare(word) for word in found if len(word) > 2 and word not in _STOP)


def _bare(word: str) -> str:
    for ending in ("ing", "ed", "es", "s"):
        if word.endswith(ending) and len(word) - len(ending) > 3:
            return word[: -len(ending)]
    return word


class Names:
    """Files by what they may be called in a text: their path, the end of it, their name, or a dotted module."""

    def __init__(self) -> None:
        self._called: dict[str, list[str]] = defaultdict(list)

    def add(self, path: str) -> None:
        """One file more."""
        parts = path.split("/")
        for start in range(len(parts)):
            end = "/".join(parts[start:])
            self._called[end].append(path)
            if end.endswith(".py"):
                self._called[end.removesuffix(".py").replace("/", ".")].append(path)

    def named(self, text: str) -> list[str]:
        """The files that a text names, in its order; a name that many files bear names none."""
        found: dict[str, None] = {}
        for said in _PATH.findall(text[:LONGEST]):
            called = self._called.get(said.strip("./"), ())
            if len(called) <= _MOST_OF_ONE_NAME and "." in said + "/".join(called):
                found |= dict.fromkeys(called)
        return list(found)[:_MOST_NAMED]
