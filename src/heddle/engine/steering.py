"""Which paths of a result steer agents or builds, told from what it changed and, for manifests, from what is in them."""

import posixpath
from collections.abc import Sequence

from heddle.core.protected import MANIFEST, scripts, steering
from heddle.core.scope import Scope
from heddle.ports import Repository


async def steers(repository: Repository, base: str, commit: str, paths: Sequence[str]) -> tuple[str, ...]:
    """Those paths, in their order."""
    found, read = set(steering(paths)), await _read_instead(repository, base)
    for path in paths:
        if read.covers(path):
            found.add(path)
        elif path.rpartition("/")[2] == MANIFEST:
            before, after = await repository.read_file(base, path), await repository.read_file(commit, path)
            if after is None or scripts(before) != scripts(
                after
            ):  # a link, whose scripts lie elsewhere, is no plain file
                found.add(path)
    return tuple(path for path in paths if path in found)


async def _read_instead(repository: Repository, base: str) -> Scope:
    """What is read in place of paths that steer, where these are links, and links to links."""
    links = frozenset(await repository.links(base))
    front, found = list(steering(links)), dict[str, None]()
    while front:
        link = front.pop()
        place = posixpath.join(posixpath.dirname(link), await repository.link_target(base, link))
        target = posixpath.normpath(place)
        if target in found or target.startswith(("..", "/")):
            continue
        found[target] = None
        front += [target] if target in links else []
    return Scope(tuple(found))
