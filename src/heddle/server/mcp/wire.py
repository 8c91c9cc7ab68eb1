"""What goes over the wire, as types: JSON-RPC messages and the results of the few methods that are served."""

from typing import Annotated, Any, Literal

import msgspec
from msgspec import UNSET, Meta, Struct, UnsetType

STATELESS = ("2026-07-28",)
"""Versions whose requests each bear their version and need no handshake."""
HANDSHAKE = ("2025-11-25", "2025-06-18", "2025-03-26")
"""Versions that are agreed on by `initialize`; the first is offered to who asks for another."""
UNSAID = "2025-03-26"
"""The version of a request that names none."""

VERSION_KEY = "io.modelcontextprotocol/protocolVersion"
CAPABILITIES_KEY = "io.modelcontextprotocol/clientCapabilities"
SERVER_KEY = "io.modelcontextprotocol/serverInfo"

NOT_JSON = -32700
BAD_REQUEST = -32600
NO_METHOD = -32601
BAD_PARAMETERS = -32602
BROKEN = -32603
NO_RESOURCE = -32002
"""In the versions with a handshake; in later ones that is a bad parameter."""
HEADER_MISMATCH = -32020
NO_SUCH_VERSION = -32022

MARKDOWN = "text/markdown"

Id = Annotated[int, Meta(ge=-(2**63), le=2**63 - 1)] | str


class Fault(Exception):
    """A request that is answered by an error of the protocol: a code, one line, and data where the code has any."""

    def __init__(self, code: int, message: str, data: object = UNSET) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.data = data


class Message(Struct):
    """A request, or with no `id` a notification."""

    jsonrpc: Literal["2.0"]
    method: str
    id: Id | UnsetType = UNSET
    params: dict[str, Any] | None = None

    def said(self, name: str) -> Any:
        """A parameter, or None."""
        return (self.params or {}).get(name)


class Identified(Struct):
    """As much of a malformed message as its answer needs."""

    id: Id


class Implementation(Struct):
    """What names a server."""

    name: str
    version: str


class Result(Struct, rename="camel"):
    """What every result bears in a stateless version, and in no other."""

    result_type: str | UnsetType = UNSET
    meta: dict[str, Any] | UnsetType = msgspec.field(default=UNSET, name="_meta")


class Lasting(Result):
    """A result that may be kept for a while, in milliseconds."""

    ttl_ms: int | UnsetType = UNSET
    cache_scope: str | UnsetType = UNSET


class Initialized(Result, kw_only=True):
    """The answer to `initialize`."""

    protocol_version: str
    server_info: Implementation
    instructions: str
    capabilities: dict[str, dict[str, Any]]


class Discovered(Lasting, kw_only=True):
    """The answer to `server/discover`."""

    supported_versions: tuple[str, ...]
    instructions: str
    capabilities: dict[str, dict[str, Any]]


class Annotations(Struct, rename="camel"):
    """What a client may rely on when it decides whether to ask its person: nothing is destroyed, nothing leaves the machine."""

    read_only_hint: bool
    destructive_hint: bool = False
    open_world_hint: bool = False


class Listed(Struct, rename="camel"):
    """A tool as it is listed."""

    name: str
    description: str
    input_schema: dict[str, Any]
    annotations: Annotations


class Tools(Lasting, kw_only=True):
    """The answer to `tools/list`."""

    tools: tuple[Listed, ...]


class Fleeting(Lasting):
    """A result that may be another one in a moment."""


class ListedResource(Struct, rename="camel"):
    """A resource as it is listed."""

    uri: str
    name: str
    description: str
    mime_type: str = MARKDOWN


class Resources(Fleeting, kw_only=True):
    """The answer to `resources/list`."""

    resources: tuple[ListedResource, ...]


class ListedTemplate(Struct, rename="camel"):
    """Resources of one kind, as they are listed."""

    uri_template: str
    name: str
    description: str
    mime_type: str = MARKDOWN


class Templates(Lasting, kw_only=True):
    """The answer to `resources/templates/list`."""

    resource_templates: tuple[ListedTemplate, ...]


class Contents(Struct, rename="camel"):
    """What a resource holds."""

    uri: str
    text: str
    mime_type: str = MARKDOWN


class Held(Fleeting, kw_only=True):
    """The answer to `resources/read`."""

    contents: tuple[Contents, ...]


class Text(Struct, tag_field="type", tag="text"):
    """A block of text."""

    text: str


class Called(Result, kw_only=True):
    """The answer to `tools/call`."""

    content: tuple[Text, ...]
    is_error: bool


class Error(Struct):
    """Why a request was refused."""

    code: int
    message: str
    data: object = UNSET


class Answer(Struct, tag_field="jsonrpc", tag="2.0"):
    """The answer to one request: a result or an error; no id is that of a request that could not be read."""

    id: Id | None
    result: object = UNSET
    error: Error | UnsetType = UNSET


def message(body: bytes) -> Message:
    """One request or notification. Raises Fault(NOT_JSON or BAD_REQUEST) and nothing else, whatever the bytes are."""
    if body.lstrip(b" \t\r\n")[:1] == b"[":
        raise Fault(BAD_REQUEST, "batches are not taken: send one request at a time")
    try:
        return msgspec.json.decode(body.decode(), type=Message)  # what is skipped would not be looked at
    except msgspec.ValidationError as error:
        raise Fault(BAD_REQUEST, f"not a request: {error}") from error
    except RecursionError as error:
        raise Fault(BAD_REQUEST, "not a request: nested too deeply") from error
    except ValueError as error:
        raise Fault(NOT_JSON, f"not JSON: {error}") from error


def known_id(body: bytes) -> Id | None:
    """The id of a message that is no request, where it has one."""
    try:
        return msgspec.json.decode(body.decode(), type=Identified).id
    except (ValueError, RecursionError):
        return None


def encoded(answer: Answer) -> bytes:
    """An answer as bytes."""
    return msgspec.json.encode(answer)
