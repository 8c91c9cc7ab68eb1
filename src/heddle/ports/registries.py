"""What package tools must reach."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol
from urllib.parse import urlsplit

from heddle.core.recipe import Recipe


@dataclass(frozen=True, slots=True)
class Reach:
    """What a command may reach, see Command, and the environment that tells it so."""

    hosts: tuple[str, ...] = ()
    near: tuple[str, ...] = ()
    forwards: tuple[str, ...] = ()
    env: Mapping[str, str] = field(default_factory=dict)

    def with_more(self, other: "Reach") -> "Reach":
        """Both; of a variable that both have, the values one after the other."""
        hosts = tuple(dict.fromkeys((*self.hosts, *other.hosts)))
        near = tuple(dict.fromkeys((*self.near, *other.near)))
        forwards = tuple(dict.fromkeys((*self.forwards, *other.forwards)))
        env = dict(self.env)
        for name, value in other.env.items():
            env[name] = f"{env[name]} {value}" if env.get(name, value) != value else value
        return Reach(hosts, near, forwards, env)


class Registries(Protocol):
    """Tells what the package tools of recipes must reach, by how the person set them up."""

    async def reach(self, recipes: tuple[Recipe, ...]) -> Reach:
        """For all of them together; a tool that cannot tell reaches nothing, and that is logged."""
        ...


def reach_of(url: str) -> Reach:
    """What a URL that the person set leads to; a service on this machine's loopback is forwarded. Nothing for what is no URL."""
    parts = urlsplit(url)
    if not parts.hostname:
        return Reach()
    port = parts.port or (443 if parts.scheme == "https" else 80)
    if parts.hostname == "localhost" or parts.hostname.startswith("127."):
        return Reach(forwards=(f"127.0.0.1:{port}",))
    return Reach(hosts := (f"{parts.hostname}:{port}",), near=hosts)
