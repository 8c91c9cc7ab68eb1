"""Recipes: how what a lockfile names is installed, once for every workspace that has the same lockfile."""

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase


@dataclass(frozen=True, slots=True)
class Recipe:
    """One package tool. `lockfile` lies at the top of the repository.

    `inputs`: globs of the files that decide what is installed, by path where they have a slash, else by name in any
    folder. `install` and `versions` are shell commands; what `versions` prints decides too. `keeps`: names of the
    folders that hold what was installed, wherever they are. `registries`: a shell command for the host that tells, from
    how the person set up the tool, what it must reach: a URL in each line, or NAME=URL for one that the tool is to be
    handed. `env`: variables of the daemon's environment that it is handed.
    """

    name: str
    lockfile: str
    inputs: tuple[str, ...]
    install: str
    versions: str
    keeps: tuple[str, ...]
    registries: str = ""
    env: tuple[str, ...] = ()

    def inputs_among(self, paths: Iterable[str]) -> tuple[str, ...]:
        """Which of a repository's files are inputs."""
        return tuple(path for path in paths if any(_fits(path, glob) for glob in self.inputs))

    def digest(self, inputs: Mapping[str, bytes]) -> str:
        """Of the recipe and its inputs by path: 64 hexadecimal digits."""
        parts = [self.name, self.install, *self.keeps]
        parts += [f"{path} {hashlib.sha256(data).hexdigest()}" for path, data in sorted(inputs.items())]
        return hashlib.sha256("\0".join(parts).encode("utf-8", "surrogateescape")).hexdigest()

    def layer(self, digest: str, versions: str, tree: str) -> str:
        """The name of what is installed: by inputs, by what `versions` printed, and by where, for tools write paths."""
        told = hashlib.sha256("\0".join((digest, versions, tree)).encode("utf-8", "surrogateescape")).hexdigest()
        return f"{self.name}-{told[:32]}"


def _fits(path: str, glob: str) -> bool:
    return fnmatchcase(path if "/" in glob else path.rpartition("/")[2], glob)
