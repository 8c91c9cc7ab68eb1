"""Finding roles: the person's own, else the repository's at a commit, else those that Heddle ships."""

import difflib
import tomllib
from collections.abc import Mapping
from typing import Any

from heddle.core.contest import player
from heddle.core.errors import SetupError, UserError
from heddle.core.role import Role
from heddle.core.scope import require_scope
from heddle.core.task import UNDO
from heddle.engine.documents import FENCE
from heddle.ports import Repository

FOLDER = ".heddle/roles/"
"""Where a repository keeps its own, a file NAME.md for each."""

LONGEST = 8_000
"""Characters of a role: agents that are told more obey less."""

SHIPPED, OWN = "role-", "own-role-"
"""How texts are named that are roles: Heddle's, and the person's."""


class Roles:
    """The roles that a repository's tasks may have. `texts`: those that lie elsewhere, by name."""

    def __init__(self, texts: Mapping[str, str], repository: Repository) -> None:
        self._texts, self._repository = texts, repository

    async def load(self, commit: str, name: str) -> Role:
        """A role as it is at a commit. Raises UserError(slug="no-such-role"), SetupError(slug="bad-role")."""
        own = self._texts.get(f"{OWN}{name}")
        if own is not None:
            return parsed(name, own, f"roles/{name}.md of your own")
        path = f"{FOLDER}{name}.md"
        data = await self._repository.read_file(commit, path) if _is_name(name) else None
        if data is not None:
            return parsed(name, data.decode(errors="replace"), path)
        if f"{SHIPPED}{name}" in self._texts:
            return parsed(name, self._texts[f"{SHIPPED}{name}"], "shipped")
        known = await self.names(commit)
        close = difflib.get_close_matches(name, known, n=1)
        hint = f"did you mean {close[0]}?" if close else f"roles are: {', '.join(known)}"
        raise UserError(f"there is no role '{name}'", slug="no-such-role", hint=f"{hint} See: heddle role list")

    async def names(self, commit: str) -> tuple[str, ...]:
        """All of them, in order."""
        paths = (path for path in await self._repository.list_files(commit) if path.startswith(FOLDER))
        names = {path.removeprefix(FOLDER).removesuffix(".md") for path in paths if path.endswith(".md")}
        for prefix in (SHIPPED, OWN):
            names |= {text.removeprefix(prefix) for text in self._texts if text.startswith(prefix)}
        return tuple(sorted(name for name in names if _is_name(name)))


def _is_name(name: str) -> bool:
    return name != UNDO and name.replace("-", "").isalnum() and name.isascii() and name == name.lower()


def parsed(name: str, document: str, source: str) -> Role:
    """A role from its file: a front matter between lines of +++ if it has one, then the text.

    Raises SetupError(slug="bad-role") with the file and what is wrong in it.
    """
    front, text = _split(document)
    if len(text) > LONGEST or not text.strip():
        raise _bad(source, f"its text has {len(text.strip())} characters; 1 to {LONGEST} are taken")
    try:
        keys = tomllib.loads(front)
    except tomllib.TOMLDecodeError as error:
        raise _bad(source, f"its front matter is not TOML: {error}") from error
    foreign = sorted(keys.keys() - {"scope", "agent"})
    if foreign:
        raise _bad(source, f"it has a key '{foreign[0]}'; 'scope' and 'agent' are taken")
    if "agent" in keys and source.startswith(FOLDER):
        raise _bad(source, "a repository does not choose who is paid; name the agent in a role of your own")
    return Role(name, text.strip(), _scope(keys, source), *player(str(keys.get("agent", ""))), source=source)


def _split(document: str) -> tuple[str, str]:
    lines = document.strip().splitlines()
    if not lines or lines[0].strip() != FENCE:
        return "", document
    ends = [number for number, line in enumerate(lines) if line.strip() == FENCE]
    return ("\n".join(lines[1 : ends[1]]), "\n".join(lines[ends[1] + 1 :])) if ends[1:] else ("", document)


def _scope(keys: Mapping[str, Any], source: str) -> tuple[str, ...]:
    told = keys.get("scope", [])
    if not isinstance(told, list) or not all(isinstance(glob, str) for glob in told):
        raise _bad(source, "'scope' is a list of globs")
    try:
        return require_scope(told).globs
    except UserError as error:
        raise _bad(source, error.message) from error


def _bad(source: str, why: str) -> SetupError:
    return SetupError(f"the role in {source} cannot be taken: {why}", slug="bad-role", hint="see: heddle role list")
