"""What a server offers: tools, each with a type for its arguments from which its schema is made."""

import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

from heddle.server.mcp.wire import Annotations, Implementation, Listed, ListedResource, ListedTemplate

_NAME = re.compile(r"[A-Za-z0-9_-]{1,64}")


@dataclass(frozen=True, slots=True)
class Tool:
    """One thing that an agent can ask for.

    `call` is given an instance of `arguments` and returns text for the agent. A HeddleError that it raises is told to
    the agent, message and hint; anything else is a fault of ours, logged and not told. It is cancelled when the client
    goes away: what must not stop half-way, it shields. `reads_only` says that it changes nothing.
    """

    name: str
    description: str
    arguments: type[msgspec.Struct]
    call: Callable[[Any], Awaitable[str]]
    reads_only: bool = False


@dataclass(frozen=True, slots=True)
class Shelf:
    """What an agent's program can read: `listed` tells what there is now, `read` the text that goes by a URI.

    A HeddleError that `read` raises is told to the program, for a URI that is none of these too; it is cancelled when the
    client goes away.
    """

    listed: Callable[[], Sequence[ListedResource]]
    templates: tuple[ListedTemplate, ...]
    read: Callable[[str], Awaitable[str]]


@dataclass(frozen=True, slots=True)
class Offer:
    """All that one server says of itself."""

    about: Implementation
    instructions: str
    tools: Mapping[str, Tool]
    listed: tuple[Listed, ...]
    shelf: Shelf | None = None

    @property
    def capabilities(self) -> dict[str, dict[str, Any]]:
        """What clients may ask for."""
        return {"tools": {}, "resources": {}} if self.shelf else {"tools": {}}


def offer(name: str, version: str, instructions: str, tools: Sequence[Tool], shelf: Shelf | None = None) -> Offer:
    """An offer, its tools in the order given. Raises ValueError for a name or a type of arguments that cannot be offered."""
    named = {tool.name: tool for tool in tools}
    if len(named) < len(tools):
        raise ValueError("two tools have the same name")
    for tool in tools:
        if not _NAME.fullmatch(tool.name):
            raise ValueError(f"no name for a tool: {tool.name!r}")
    return Offer(Implementation(name, version), instructions, named, tuple(map(_listed, tools)), shelf)


def _listed(tool: Tool) -> Listed:
    return Listed(tool.name, tool.description, input_schema(tool.arguments), Annotations(tool.reads_only))


def input_schema(arguments: type[msgspec.Struct]) -> dict[str, Any]:
    """The JSON schema of a type, all in one piece: not every client follows references.

    Raises ValueError for a type that takes unknown fields, or contains itself.
    """
    if not arguments.__struct_config__.forbid_unknown_fields:
        raise ValueError(f"{arguments.__name__} takes unknown fields")
    (root,), parts = msgspec.json.schema_components((arguments,), ref_template="{name}")
    schema = _inlined(root, parts, ())
    schema.pop("description", None)  # the tool has one
    return schema


def _inlined(node: dict[str, Any], parts: Mapping[str, Any], within: tuple[str, ...]) -> dict[str, Any]:
    """A schema with its references put in place; the titles are names of ours, which say nothing to an agent."""
    if name := node.get("$ref"):
        if name in within:
            raise ValueError(f"{name} contains itself")
        beside = {key: value for key, value in node.items() if key != "$ref"}
        return _inlined({**parts[name], **beside}, parts, (*within, name))
    return {key: _value(key, value, parts, within) for key, value in node.items() if key != "title"}


def _value(key: str, value: Any, parts: Mapping[str, Any], within: tuple[str, ...]) -> Any:
    """What lies under a keyword of a schema: further schemas, or plain data, which stays as it is."""
    if key in ("properties", "patternProperties"):
        return {name: _inlined(inner, parts, within) for name, inner in value.items()}
    if key in ("anyOf", "oneOf", "allOf", "prefixItems"):
        return [_inlined(inner, parts, within) for inner in value]
    if key in ("items", "additionalProperties", "propertyNames") and isinstance(value, dict):
        return _inlined(value, parts, within)
    return value
