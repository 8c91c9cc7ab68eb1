"""Which paths of a result steer agents or builds, told from what it changed, from what is read in place of such paths or is
pulled in by them, and, for manifests, from what is in them.
"""

import posixpath
from collections.abc import Iterable, Sequence

from heddle.core.protected import MANIFEST, scripts, steering
from heddle.core.rules.loading import imported_paths
from heddle.core.scope import Scope
from heddle.engine.rulefiles import rule_files
from heddle.ports import Repository


async def steers(repository: Repository, base: str, commit: str, paths: Sequence[str]) -> tuple[str, ...]:
    """Those paths, in their order."""
    links = frozenset(await repository.links(base))
    read = await _read_instead(repository, base, links, steering(links))
    imported = imported_paths(await rule_files(repository, base, read.globs))  # a file that is not there yet, too
    pulled_in = {path.casefold() for path in imported}
    through = await _read_instead(repository, base, links, (path for path in links if path.casefold() in pulled_in))
    found = set(steering(paths))
    for path in paths:
        if path.casefold() in pulled_in or read.covers(path) or through.covers(path):
            found.add(path)
        elif path.rpartition("/")[2] == MANIFEST:
            before, after = await repository.read_file(base, path), await repository.read_file(commit, path)
            if after is None or scripts(before) != scripts(
                after
            ):  # a link, whose scripts lie elsewhere, is no plain file
                found.add(path)
    return tuple(path for path in paths if path in found)


async def _read_instead(repository: Repository, base: str, links: frozenset[str], front: Iterable[str]) -> Scope:
    """What is read in place of some links, and of links to links."""
    left, found = list(front), dict[str, None]()
    while left:
        link = left.pop()
        place = posixpath.join(posixpath.dirname(link), await repository.link_target(base, link))
        target = posixpath.normpath(place)
        if target in found or target.startswith(("..", "/")):
            continue
        found[target] = None
        left += [target] if target in links else []
    return Scope(tuple(found))
