"""A brand of agent as data: what it is called, how it is started, what it can do. One TOML file each."""

import sys
import tomllib
from collections.abc import Mapping
from difflib import get_close_matches
from importlib.resources import files
from pathlib import Path
from typing import Any

import msgspec

from heddle.core.capabilities import NAMES, Capabilities
from heddle.core.errors import SetupError
from heddle.core.session import Brief
from heddle.ports import Command, Reach, reach_of

SESSION = "{session}"
"""Stands for the conversation that a terminal is opened on."""

PYTHON = "{python}"
"""Stands for the Python that runs Heddle, in a command."""


DATA = "{data}"
"""Stands for the folder of what comes with Heddle."""


class Turns(msgspec.Struct, frozen=True, kw_only=True):
    """How an agent is started anew for each turn: its command, then these arguments in this order.

    `first` for the first turn or `again` for a later one (empty: it knows nothing of earlier turns), `read` or `write`
    by what it may do, `model` when one is named, `prompt` (empty: the prompt comes on standard input). {session} stands
    for the conversation's id, {model}, {prompt}, {tree} and {out} for what they say. `env`: variables that it is given.
    `silence_s`: after so long without a word on standard output the turn is ended.
    """

    first: tuple[str, ...] = ()
    again: tuple[str, ...] = ()
    read: tuple[str, ...] = ()
    write: tuple[str, ...] = ()
    model: tuple[str, ...] = ()
    prompt: tuple[str, ...] = ()
    env: dict[str, str] = {}
    silence_s: float = 900.0


class Brand(msgspec.Struct, frozen=True, kw_only=True):
    """A brand: `command` starts it, `terminal` its own screen on a conversation, `version_command` prints its version (empty: it cannot be asked).

    `env`: the only variables of the daemon's environment that it is handed. `install`: how a person gets it.
    `hosts`: "name:port" that it needs to reach. `endpoints`: variables that name a further one as a URL. `shows`:
    variables that name a file which it reads; never a credential, because every box shows it. `memory_mb`: what a
    session of it takes, about. `lacks`: why it does not have a capability, by the capability's name. `turns`: for the
    protocols that have a process per turn.
    """

    name: str
    protocol: str
    command: tuple[str, ...]
    version_command: tuple[str, ...] = ()
    terminal: tuple[str, ...] = ()
    minimum_version: str = ""
    env: tuple[str, ...] = ()
    hosts: tuple[str, ...] = ()
    endpoints: tuple[str, ...] = ()
    shows: tuple[str, ...] = ()
    install: str = ""
    memory_mb: int = 500
    capabilities: Capabilities = Capabilities()
    lacks: dict[str, str] = {}
    turns: Turns = Turns()


def reach(brand: Brand, environment: Mapping[str, str]) -> Reach:
    """The brand's hosts and the endpoints that the person set; one on this machine's loopback is forwarded."""
    found = Reach(brand.hosts)
    for name in brand.endpoints:
        found = found.with_more(reach_of(environment.get(name, "")))
    return found


def handed_on(brand: Brand, environment: Mapping[str, str]) -> dict[str, str]:
    """What an agent gets of an environment: its brand's variables alone, no other account's credentials."""
    return {name: environment[name] for name in brand.env if name in environment}


def brand_names() -> tuple[str, ...]:
    """The brands that come with Heddle."""
    shipped = files("heddle.data.agents").iterdir()
    return tuple(sorted(entry.name.removesuffix(".toml") for entry in shipped if entry.name.endswith(".toml")))


def load_brand(source: Path | str) -> Brand:
    """A brand from a file, or a shipped one by name.

    Raises SetupError: agent-file (unreadable, not TOML, unknown key, wrong type), unknown-agent (no such).
    """
    shipped = files("heddle.data.agents")
    try:
        text = (source if isinstance(source, Path) else shipped / f"{source}.toml").read_text()
    except FileNotFoundError as error:
        known = ", ".join(brand_names())
        raise SetupError(f"there is no agent '{source}'", slug="unknown-agent", hint=f"known are: {known}") from error
    except (OSError, UnicodeDecodeError) as error:
        raise _unfit(source, str(error)) from error
    return _brand(text, source)


def _brand(text: str, source: Path | str) -> Brand:
    try:
        keys = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise _unfit(source, f"not TOML: {error}") from error
    _require_known(keys, Brand.__struct_fields__, source)
    for table in ("capabilities", "lacks"):
        if isinstance(keys.get(table), dict):
            _require_known(keys[table], NAMES, source)
    if isinstance(keys.get("turns"), dict):
        _require_known(keys["turns"], Turns.__struct_fields__, source)
    try:
        brand = msgspec.convert(keys, Brand)
    except msgspec.ValidationError as error:
        raise _unfit(source, str(error)) from error
    if not brand.command or not all(brand.command):
        raise _unfit(source, "'command' is empty", "give the program and its arguments as a list of texts")
    return brand_with_places(brand)


def brand_with_places(brand: Brand) -> Brand:
    """The brand with the placeholders for Python and for what comes with Heddle filled in."""
    data = str(files("heddle.data"))

    def placed(parts: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(sys.executable if part == PYTHON else part.replace(DATA, data) for part in parts)

    env = {name: value.replace(DATA, data) for name, value in brand.turns.env.items()}
    return msgspec.structs.replace(
        brand,
        command=placed(brand.command),
        version_command=placed(brand.version_command),
        terminal=placed(brand.terminal),
        turns=msgspec.structs.replace(brand.turns, env=env),
    )


def screen(brand: Brand, brief: Brief, env: Mapping[str, str], to: Reach) -> Command | None:
    """The brand's own terminal on the conversation of `brief`; None when it has none."""
    if not brand.terminal:
        return None
    argv = tuple(part.replace(SESSION, brief.resume) for part in brand.terminal)
    return Command(brief.session, argv, "", env, stdin="terminal", hosts=to.hosts, near=to.near, forwards=to.forwards)


def _require_known(keys: dict[str, Any], known: tuple[str, ...], source: Path | str) -> None:
    for key in keys:
        if key not in known:
            near = get_close_matches(key, known, n=1)
            hint = f"did you mean '{near[0]}'?" if near else f"known keys are: {', '.join(known)}"
            raise _unfit(source, f"unknown key '{key}'", hint)


def _unfit(source: Path | str, what: str, hint: str = "mend the file, or remove it") -> SetupError:
    return SetupError(f"agent file '{source}': {what}", slug="agent-file", hint=hint, file=str(source))
