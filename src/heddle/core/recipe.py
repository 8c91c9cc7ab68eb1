"""Recipes: how what a lockfile names is installed, once for every workspace that has the same lockfile."""

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from heddle.core.scope import Scope


@dataclass(frozen=True, slots=True)
class Recipe:
    """One package tool. `lockfile` lies at the top of the repository.

    `inputs`: globs (as in a scope) of the files that decide what is installed. `install` and `versions` are shell
    commands; what `versions` prints decides too. `keeps`: names of the folders that hold what was installed, wherever
    they are. `cache`: the variable that names the folder which the tool fetches into, where that is to be kept.
    `registries`: a shell command for the host that tells, from how the person set up the tool, what it must reach: a
    URL in each line, or NAME=VALUE with URLs in it that the tool is to be handed. `env`: variables of the daemon's
    environment that it is handed.
    """

    name: str
    lockfile: str
    inputs: tuple[str, ...]
    install: str
    versions: str
    keeps: tuple[str, ...] = ()
    cache: str = ""
    registries: str = ""
    env: tuple[str, ...] = ()

    def inputs_among(self, paths: Iterable[str]) -> tuple[str, ...]:
        """Which of a repository's files are inputs."""
        deciding = Scope(self.inputs)
        return tuple(path for path in paths if deciding.covers(path))

    def digest(self, inputs: Mapping[str, bytes]) -> str:
        """Of the recipe and its inputs by path: 64 hexadecimal digits."""
        parts = [self.name, self.install, self.cache, *self.keeps]
        parts += [f"{path} {hashlib.sha256(data).hexdigest()}" for path, data in sorted(inputs.items())]
        return hashlib.sha256("\0".join(parts).encode("utf-8", "surrogateescape")).hexdigest()

    def layer(self, digest: str, versions: str, tree: str) -> str:
        """The name of what is installed: by inputs, by what `versions` printed, and by where, for tools write paths."""
        told = hashlib.sha256("\0".join((digest, versions, tree)).encode("utf-8", "surrogateescape")).hexdigest()
        return f"{self.name}-{told[:32]}"
