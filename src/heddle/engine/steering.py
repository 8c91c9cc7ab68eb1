"""Which paths of a result steer agents or builds, told from what it changed and, for manifests, from what is in them."""

from collections.abc import Sequence

from heddle.core.protected import MANIFEST, scripts, steering
from heddle.ports import Repository


async def steers(repository: Repository, base: str, commit: str, paths: Sequence[str]) -> tuple[str, ...]:
    """Those paths, in their order."""
    found = set(steering(paths))
    for path in paths:
        if path.rpartition("/")[2] == MANIFEST:
            before, after = await repository.read_file(base, path), await repository.read_file(commit, path)
            if after is None or scripts(before) != scripts(
                after
            ):  # a link, whose scripts lie elsewhere, is no plain file
                found.add(path)
    return tuple(path for path in paths if path in found)
