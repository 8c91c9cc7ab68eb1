"""Rules files as read from a checkout or a commit, and what else must be known of the repository to judge them."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property

CANONICAL = "AGENTS.md"
CLAUDE = "CLAUDE.md"
GEMINI = "GEMINI.md"
GEMINI_SETTINGS = ".gemini/settings.json"
OPENCODE_SETTINGS = "opencode.json"
AIDER_SETTINGS = ".aider.conf.yml"

MOST_BYTES = 256 * 1024
"""A larger file is no guidance that anybody loads: it is told, and not read."""

MOST_FILES = 200
"""So many rules files are read; the ones nearest to the top first."""

_RULES = re.compile(
    r"(?:.*/)?(?:AGENTS\.md|AGENTS\.override\.md|CLAUDE\.md|CLAUDE\.local\.md|GEMINI\.md|\.cursorrules)"
    r"|(?:.*/)?\.cursor/rules/.+\.mdc"
    r"|\.claude/rules/.+\.md"
    r"|\.github/copilot-instructions\.md|\.github/instructions/.+\.instructions\.md"
    r"|\.gemini/settings\.json|opencode\.json|\.aider\.conf\.yml|CONVENTIONS\.md"
)

_BUILDS = re.compile(
    r"(?:.*/)?(?:GNUmakefile|[Mm]akefile|package\.json|[Jj]ustfile|\.justfile|tox\.ini|tox\.toml|noxfile\.py|setup\.cfg"
    r"|pyproject\.toml)"
)


@dataclass(frozen=True, slots=True)
class RuleFile:
    """A file of guidance. `path` is from the top of the repository, `size` in bytes.

    `link`: where a symbolic link leads within the repository; its text is that of what is there.
    `trouble`: why `text` is not (all of) what an agent would read; "" when it is. `ignored`: git ignores it, so that it is
    never committed, and no session has it.
    """

    path: str
    text: str
    size: int = 0
    link: str = ""
    trouble: str = ""
    ignored: bool = False

    @property
    def real(self) -> str:
        """The path of the text itself: the same for a file and for every link to it."""
        return self.link or self.path

    @property
    def folder(self) -> str:
        """The folder that it speaks of: "" for the whole repository."""
        return folder_of(self.path)


@dataclass(frozen=True)
class Tree:
    """What the repository holds.

    `paths`: files that are tracked, or untracked and not ignored. `builds`: texts of files that name commands, by path.
    `there`: of the places that references name, those that exist or that git would ignore. `whole`: nothing was left out.
    """

    paths: frozenset[str] = frozenset()
    builds: Mapping[str, str] = field(default_factory=dict)
    there: frozenset[str] = frozenset()
    whole: bool = True

    @cached_property
    def folders(self) -> frozenset[str]:
        """Every folder that holds a file."""
        found: set[str] = set()
        for path in self.paths:
            parts = path.split("/")
            found.update("/".join(parts[:count]) for count in range(1, len(parts)))
        return frozenset(found)

    @cached_property
    def tails(self) -> frozenset[str]:
        """Every path, and every end of one: what a sentence may call a file by that it was already speaking near of."""
        found: set[str] = set()
        for path in (*self.paths, *self.folders):
            parts = path.split("/")
            found.update("/".join(parts[start:]) for start in range(len(parts)))
        return frozenset(found)

    def names(self, path: str) -> bool:
        """Whether a file or folder can be called so."""
        return path in self.there or path in self.tails


def is_rules(path: str) -> bool:
    """Whether some agent takes a file of this path for guidance, or for where it is told; not what a skill brings along."""
    return _RULES.fullmatch(path) is not None and "/skills/" not in path


def is_build(path: str) -> bool:
    """Whether a file of this path names commands that can be run."""
    return _BUILDS.fullmatch(path) is not None


def folder_of(path: str) -> str:
    """What a rules file at this path speaks of: the folder that it, or the agent's own folder around it, lies in."""
    head = re.split(r"(?:^|/)\.(?:claude|cursor|github|gemini)/", path)[0]
    return head.rpartition("/")[0] if head == path else head


def joined(folder: str, path: str) -> str:
    """A path as named in a folder; "" when it leads out of the repository."""
    parts = folder.split("/") if folder else []
    for part in path.split("/"):
        if part == ".." and not parts:
            return ""
        if part == "..":
            parts.pop()
        elif part not in ("", "."):
            parts.append(part)
    return "/".join(parts)
