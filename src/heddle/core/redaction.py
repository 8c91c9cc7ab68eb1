"""Secrets, told by their shape: cut from everything that is shown, refused in what would land."""

import re
from dataclasses import dataclass

_SHAPES = (
    r"sk-ant-[A-Za-z0-9_-]{16,}",
    r"sk-(?:proj-)?[A-Za-z0-9_-]{24,}",
    r"gh[pousr]_[A-Za-z0-9]{30,}",
    r"github_pat_[A-Za-z0-9_]{40,}",
    r"glpat-[A-Za-z0-9_-]{20,}",
    r"xox[abprs]-[A-Za-z0-9-]{20,}",
    r"(?:AKIA|ASIA)[A-Z0-9]{16}",
    r"AIza[A-Za-z0-9_-]{35}",
    r"eyJ[A-Za-z0-9_-]{16,}\.eyJ[A-Za-z0-9_-]{16,}\.[A-Za-z0-9_-]{16,}",
    r"-----BEGIN (?:[A-Z]+ )?PRIVATE KEY-----[\s\S]{0,8192}?(?:-----END (?:[A-Z]+ )?PRIVATE KEY-----|\Z)",
    r"(?<=://)[^\s/:@]{1,64}:[^\s/@]{6,}(?=@)",
)
SECRET = re.compile("|".join(f"(?:{shape})" for shape in _SHAPES))
CUT = "[redacted]"


SHORTEST = 8
"""A value that is shorter is a word which also means something else."""

_NAMED = re.compile(
    r"""^\s*(?:export\s+)?["']?([A-Za-z_][\w.-]*)["']?[ \t]*[=:][ \t]*(["']?)(.+?)\2[\s,;]*$""", re.MULTILINE
)
_TELLING = re.compile(
    r"secret|token|passw|pwd|(?:^|[_.-])key|credential|auth|private|(?:^|[_.-])pass(?:$|[_.-])", re.IGNORECASE
)
_RANDOM = re.compile(r"(?=.*[0-9])(?=.*[A-Za-z])[A-Za-z0-9+/=_-]{20,}")


@dataclass(frozen=True, slots=True)
class Redactor:
    """Knows secrets by their shape, and `values` besides."""

    values: tuple[str, ...] = ()

    def __call__(self, text: str) -> str:
        """The text with every secret replaced."""
        for value in sorted(self.values, key=len, reverse=True):
            text = text.replace(value, CUT)
        return SECRET.sub(CUT, text)

    def added(self, diff: str) -> tuple[str, ...]:
        """The files of a unified diff whose added lines hold a secret."""
        found: dict[str, None] = {}
        path = ""
        added: list[str] = []
        for line in (*diff.splitlines(), "+++ "):
            if line.startswith("+++ "):
                text = "\n".join(added)
                if self(text) != text:
                    found[path] = None
                path, added = line[4:].removeprefix("b/"), []
            elif line.startswith("+"):
                added.append(line[1:])
        return tuple(found)


redact = Redactor()
"""By shape alone."""


def values_of(text: str) -> tuple[str, ...]:
    """The values of a file of settings that are secrets, by their name or because nothing else looks like that."""
    found = [(name, value) for name, _, value in _NAMED.findall(text) if len(value) >= SHORTEST]
    return tuple(value for name, value in found if _TELLING.search(name) or _RANDOM.fullmatch(value))
