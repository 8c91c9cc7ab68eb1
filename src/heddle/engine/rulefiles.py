"""The files of rules of a commit, with what they import."""

from collections.abc import Iterable

from heddle.core.errors import HeddleError
from heddle.core.rules.files import MOST_FILES, RuleFile, is_rules
from heddle.core.rules.loading import imported_paths
from heddle.ports import Repository

HOPS = 5
"""How often what was read may name further files to read."""


async def rule_files(repository: Repository, commit: str, more: Iterable[str] = ()) -> list[RuleFile]:
    """Those that are there, and `more`, which are read in place of some. Of a link only its path is known."""
    paths, named = frozenset(await repository.list_files(commit)), frozenset(more)
    near = sorted((path for path in paths if is_rules(path) or path in named), key=lambda path: (path.count("/"), path))
    files, near = list[RuleFile](), near[:MOST_FILES]
    for _ in range(HOPS):
        for path in near:
            files.append(await _blob(repository, commit, path))
        near = sorted((imported_paths(files) & paths) - {file.path for file in files})[:MOST_FILES]
    return files


async def _blob(repository: Repository, commit: str, path: str) -> RuleFile:
    try:
        data = await repository.read_file(commit, path)
    except HeddleError as error:
        return RuleFile(path, "", trouble=error.message)
    if data is None:
        return RuleFile(path, "", trouble="a symbolic link")
    return RuleFile(path, data.decode(errors="replace"), len(data))
