"""heddle.toml and its layers: load, check, and say where each value came from.

Shipped defaults < the person's file < heddle.toml (committed; read from the base commit, never from a workspace)
< .heddle/local.toml < environment. A repository may narrow, never widen: it cannot delegate, its gates only add to
the person's, its limits only lower them, and its commands run only after a person allowed them.
"""

import difflib
import os
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time
from importlib.resources import files
from pathlib import Path
from typing import Any

from heddle.adapters.installs.recipes import load_recipe
from heddle.core.capabilities import NAMES
from heddle.core.cycle import Bounds
from heddle.core.delegation import Delegation
from heddle.core.errors import SetupError, UserError
from heddle.core.extent import Extent
from heddle.core.gate import STRICTNESS, Decider, GateRule, Gates
from heddle.core.scope import require_scope
from heddle.core.settings import AgentRule, Settings
from heddle.core.task import WITH_AGENT, Lane, Stage
from heddle.ports import Repository

REPOSITORY_FILE = "heddle.toml"
LOCAL_FILE = ".heddle/local.toml"
PREFIX = "HEDDLE_"
GATED = (Stage.RESEARCH, Stage.PLAN, Stage.EXECUTE, Stage.VALIDATE)
"""The stages that end at a gate."""

PERSONS = frozenset(
    ("checks.hooks", "network.hosts", "limits.keep_memory_mb", "limits.keep_disk_mb", "limits.session_memory_mb")
    + ("sandbox.tier", "workspace.provider", "workspace.max_file_mb", "workspace.trash_days")
    + ("preview.enabled", "preview.port", "agent.fallbacks", "agent.needs", "limits.park_s")
)
"""What a repository has no say in: it is the person's, or the machine's."""


_HOST = re.compile(r"(\*\.)?([a-zA-Z0-9-]{1,63}\.)*[a-zA-Z][a-zA-Z0-9-]{0,62}:[0-9]{1,5}")


@dataclass(frozen=True, slots=True)
class Layer:
    """One source of values. `narrow`: it comes with the repository and may only narrow."""

    source: str
    values: Mapping[str, Any]
    narrow: bool = False


@dataclass(frozen=True, slots=True)
class Value:
    """A value and where it came from."""

    key: str
    value: Any
    source: str


class Config:
    """Settings of repositories, from all layers. Implements the engine's SettingsSource."""

    def __init__(self, person: Path, environment: Mapping[str, str]) -> None:
        self._person = person
        self._environment = environment
        defaults = tomllib.loads(files("heddle.data").joinpath("defaults.toml").read_text())
        self._defaults = Layer("defaults.toml", defaults)

    async def settings(self, repository: Repository, commit: str) -> Settings:
        """See the engine's SettingsSource."""
        return settings(await self._layers(repository, commit))

    async def explain(self, repository: Repository | None, commit: str, key: str) -> list[Value]:
        """Every value (or those under `key`) with its source. Raises UserError(slug="no-such-key")."""
        layers = await self._layers(repository, commit) if repository else self.own_layers()
        values = [value for value in resolve(layers) if value.key == key or not key or value.key.startswith(f"{key}.")]
        if not values:
            known = [value.key for value in resolve(layers)]
            raise UserError(f"there is no key '{key}'", slug="no-such-key", hint=_meant(key, known))
        return values

    def own_layers(self) -> list[Layer]:
        """The layers that do not depend on a repository."""
        layers = [self._defaults]
        if self._person.is_file():
            layers.append(_layer(str(self._person), self._person.read_bytes(), self._defaults.values))
        return layers

    async def _layers(self, repository: Repository, commit: str) -> list[Layer]:
        layers = self.own_layers()
        committed = await repository.read_file(commit, REPOSITORY_FILE)
        if committed is not None:
            layers.append(_layer(f"{REPOSITORY_FILE} at {commit[:12]}", committed, self._defaults.values, narrow=True))
        local = Path(repository.root) / LOCAL_FILE
        if local.is_file():
            layers.append(_layer(LOCAL_FILE, local.read_bytes(), self._defaults.values, narrow=True))
        agent = self._environment.get(f"{PREFIX}AGENT")
        if agent:
            layers.append(Layer(f"{PREFIX}AGENT", {"agent": {"default": agent}}))
        return layers


def person_file(environment: Mapping[str, str]) -> Path:
    """The person's own configuration file."""
    folder = environment.get("XDG_CONFIG_HOME") or os.path.join(environment.get("HOME", "~"), ".config")
    return Path(environment.get("HEDDLE_CONFIG") or Path(folder).expanduser() / "heddle" / "config.toml")


def _layer(source: str, data: bytes, known: Mapping[str, Any], *, narrow: bool = False) -> Layer:
    try:
        values = tomllib.loads(data.decode())
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise SetupError(f"{source} is not TOML: {error}", slug="config-unreadable", hint="mend the file") from error
    _require_known(source, values, known)
    if narrow and values.get("delegation"):
        raise SetupError(
            f"{source} may not delegate decisions",
            slug="config-widens",
            hint="put [delegation] into your own file; see: heddle config explain delegation",
        )
    return Layer(source, values, narrow)


def _require_known(source: str, values: Mapping[str, Any], known: Mapping[str, Any]) -> None:
    for section, table in values.items():
        if section not in known:
            raise _unknown(source, section, list(known))
        if not isinstance(table, dict):
            raise _wrong(source, section, "a table")
        for key, value in table.items():
            if key not in known[section]:
                raise _unknown(source, f"{section}.{key}", [f"{section}.{name}" for name in known[section]])
            _require_type(source, f"{section}.{key}", value, known[section][key])


def _require_type(source: str, key: str, value: object, default: object) -> None:
    if isinstance(default, bool) or isinstance(value, bool):
        right = isinstance(default, bool) and isinstance(value, bool)
    elif isinstance(default, float):
        right = isinstance(value, int | float) and value > 0
    elif isinstance(default, int):
        right = isinstance(value, int) and value >= 0
    else:
        right = isinstance(value, type(default))
    if not right:
        names = {bool: "true or false", float: "a number", int: "a whole number", str: "a text", list: "a list"}
        raise _wrong(source, key, names[type(default)])


def _unknown(source: str, key: str, known: list[str]) -> SetupError:
    return SetupError(f"unknown key '{key}' in {source}", slug="config-unknown-key", hint=_meant(key, known), key=key)


def _wrong(source: str, key: str, wanted: str) -> SetupError:
    return SetupError(
        f"'{key}' in {source} must be {wanted}", slug="config-wrong-type", hint=f"see: heddle config explain {key}"
    )


def _meant(key: str, known: list[str]) -> str:
    close = difflib.get_close_matches(key, known, n=1, cutoff=0.5)
    return f"did you mean '{close[0]}'?" if close else f"known are: {', '.join(known)}"


def resolve(layers: list[Layer]) -> list[Value]:
    """Every key with the value that holds and the layer that set it."""
    defaults, found = layers[0].values, []
    for section, table in defaults.items():
        for key, value in table.items():
            holds = Value(f"{section}.{key}", value, layers[0].source)
            for layer in layers[1:]:
                if key in layer.values.get(section, {}):
                    holds = _override(holds, layer, layer.values[section][key])
            found.append(holds)
    return found


def _override(holds: Value, layer: Layer, value: Any) -> Value:
    """What holds after one more layer: a repository's limits only lower, its gates only add."""
    theirs = Value(holds.key, value, layer.source)
    if not layer.narrow:
        return theirs
    if holds.key in PERSONS:
        return holds
    if holds.key.startswith("limits."):
        return theirs if value < holds.value else holds
    if holds.key == "gates.rules":
        return Value(holds.key, [*holds.value, *value], f"{holds.source}, {layer.source}") if holds.value else theirs
    if holds.key.startswith("gates."):
        order = [STRICTNESS.index(_decider(holds.key, one)) for one in (value, holds.value)]
        return theirs if order[0] > order[1] else holds
    return theirs


def settings(layers: list[Layer]) -> Settings:
    """The settings that the layers make. Raises SetupError with the key and what is wrong with it."""
    values = {value.key: value.value for value in resolve(layers)}
    return Settings(
        agent=values["agent.default"],
        model=values["agent.model"],
        agent_rules=(*map(_agent_rule, values["agent.rules"]), *_by_stage(values)),
        fallbacks=_texts("agent.fallbacks", values["agent.fallbacks"]),
        needs=_needs(values["agent.needs"]),
        checks=_texts("checks.commands", values["checks.commands"], "commands"),
        hooks=values["checks.hooks"],
        setup=_texts("setup.commands", values["setup.commands"], "commands"),
        teardown=_texts("setup.teardown", values["setup.teardown"], "commands"),
        dependencies=tuple(map(load_recipe, _texts("setup.dependencies", values["setup.dependencies"], "commands"))),
        hosts=_hosts(values["network.hosts"]),
        gates=Gates(tuple(_gate_rules(values))),
        delegations=tuple(_delegation(rule) for rule in values["delegation.rules"]),
        bounds=Bounds(values["limits.attempts"], values["limits.replans"]),
        sessions=values["limits.sessions"],
        validations=values["limits.validations"],
        repairs=values["limits.repairs"],
        resumes=values["limits.resumes"],
        stall_s=float(values["limits.stall_s"]),
        park_s=float(values["limits.park_s"]),
        session_s=float(values["limits.session_s"]),
        check_s=float(values["limits.check_s"]),
        transcript_bytes=values["limits.transcript_mb"] * 1_000_000,
        workspace=Extent(int(values["limits.workspace_gb"] * 10**9), values["limits.workspace_files"]),
    )


def _agent_rule(rule: Any) -> AgentRule:
    _require_rule("agent.rules", rule, {"agent"}, {"stage", "role", "lane"})
    told = {key: str(value) for key, value in rule.items()}
    if "stage" in told and told["stage"] not in WITH_AGENT:
        raise _wrong("agent.rules", "stage", f"one of {', '.join(sorted(WITH_AGENT))}")
    if "lane" in told and told["lane"] not in tuple(Lane):
        raise _wrong("agent.rules", "lane", f"one of {', '.join(Lane)}")
    return AgentRule(**told)


def _by_stage(values: Mapping[str, Any]) -> list[AgentRule]:
    named = ((stage, values[f"agent.{stage}"]) for stage in sorted(WITH_AGENT))
    return [AgentRule(agent, stage) for stage, agent in named if agent]


def _gate_rules(values: Mapping[str, Any]) -> list[GateRule]:
    rules = [GateRule(stage, _decider(f"gates.{stage}", values[f"gates.{stage}"])) for stage in GATED]
    for rule in values["gates.rules"]:
        _require_rule("gates.rules", rule, {"stage", "decides"}, {"lane", "role", "paths"})
        stage, decides = _stage(rule["stage"]), _decider("gates.rules", rule["decides"])
        lane = str(rule.get("lane", ""))
        if lane and lane not in tuple(Lane):
            raise _wrong("gates.rules", "lane", f"one of {', '.join(Lane)}")
        rules.append(GateRule(stage, decides, lane, str(rule.get("role", "")), tuple(rule.get("paths", ()))))
    return rules


def _delegation(rule: Any) -> Delegation:
    _require_rule("delegation.rules", rule, {"name", "scope"}, {"stage", "roles", "max_lines", "expires"})
    scope = require_scope(rule["scope"]).globs
    stage = _stage(rule.get("stage", "plan"))
    expires = rule.get("expires")
    if isinstance(expires, date) and not isinstance(expires, datetime):
        expires = datetime.combine(expires, time.max, tzinfo=UTC)
    ends = expires.timestamp() if isinstance(expires, datetime) else None
    return Delegation(str(rule["name"]), stage, scope, tuple(rule.get("roles", ())), rule.get("max_lines"), ends)


def _require_rule(key: str, rule: Any, needed: set[str], allowed: set[str]) -> None:
    if not isinstance(rule, dict) or not needed <= set(rule):
        raise _wrong("the configuration", key, f"tables with {', '.join(sorted(needed))}")
    unknown = sorted(set(rule) - needed - allowed)
    if unknown:
        raise _unknown("the configuration", f"{key}.{unknown[0]}", [f"{key}.{name}" for name in needed | allowed])


def _stage(name: object) -> Stage:
    try:
        return Stage(str(name))
    except ValueError:
        raise _wrong("the configuration", f"stage '{name}'", f"one of {', '.join(Stage)}") from None


def _decider(key: str, name: object) -> Decider:
    try:
        return Decider(str(name))
    except ValueError:
        raise _wrong("the configuration", key, f"one of {', '.join(Decider)}") from None


def _needs(value: list[Any]) -> tuple[str, ...]:
    for name in _texts("agent.needs", value):
        if name not in NAMES:
            raise SetupError(
                f"'agent.needs' names '{name}', which is no capability",
                slug="config-wrong-type",
                hint=_meant(name, list(NAMES)),
            )
    return tuple(value)


def _hosts(value: list[Any]) -> tuple[str, ...]:
    if not all(isinstance(item, str) and _HOST.fullmatch(item) for item in value):
        raise _wrong("the configuration", "network.hosts", 'a list of "name:port" or "*.name:port"; no addresses')
    return tuple(item.lower() for item in value)


def _texts(key: str, value: object, what: str = "texts") -> tuple[str, ...]:
    if not isinstance(value, list) or not all(isinstance(item, str) and item.strip() for item in value):
        raise _wrong("the configuration", key, f"a list of {what}")
    return tuple(value)
