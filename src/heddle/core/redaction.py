"""Secrets, told by their shape: cut from everything that is shown, refused in what would land."""

import re

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


def redact(text: str) -> str:
    """The text with every secret replaced."""
    return SECRET.sub(CUT, text)


def secrets_added(diff: str) -> tuple[str, ...]:
    """The files of a unified diff whose added lines hold a secret."""
    found: dict[str, None] = {}
    path = ""
    added: list[str] = []
    for line in (*diff.splitlines(), "+++ "):
        if line.startswith("+++ "):
            if added and SECRET.search("\n".join(added)):
                found[path] = None
            path, added = line[4:].removeprefix("b/"), []
        elif line.startswith("+"):
            added.append(line[1:])
    return tuple(found)
