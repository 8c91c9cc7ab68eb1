"""From the bytes of a request to its answer, or to the tool that must be called first. Nothing here waits or raises."""

import base64
import binascii
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import msgspec
from msgspec import UNSET

from heddle.server.mcp import wire
from heddle.server.mcp.offer import Offer, Tool
from heddle.server.mcp.wire import Answer, Fault, Id, Message

TEXT_LIMIT = 24_000
"""Characters of a result: what agents' programs show whole."""
RESOURCE_LIMIT = 400_000
"""Characters of a resource."""
LASTS_MS = 300_000
"""How long a list may be kept by a client."""

_UNSHOWN = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff]")
_BASE64 = re.compile(r"=\?base64\?(.*)\?=", re.DOTALL)
_STATUS = {wire.NO_METHOD: 404}
_NAMED = {"tools/call": "name", "resources/read": "uri"}
"""The parameter that a header repeats."""


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer over HTTP."""

    status: int
    body: bytes = b""


@dataclass(frozen=True, slots=True)
class Call:
    """A tool to be called, and what its answer must bear."""

    tool: Tool
    arguments: Any
    id: Id
    stateless: bool


@dataclass(frozen=True, slots=True)
class Reading:
    """A resource to be read, and what its answer must bear."""

    uri: str
    id: Id
    stateless: bool


def read(offer: Offer, headers: Mapping[str, str], body: bytes) -> Reply | Call | Reading:
    """What a request comes to. `headers` are by lower-case names, repeated ones joined by commas. Never raises."""
    try:
        message = wire.message(body)
    except Fault as fault:
        return _refusal(fault, wire.known_id(body), 400)
    stateless = _is_stateless(message, headers)
    try:
        if message.id is UNSET:
            _require_served(headers)
            return Reply(202)
        if stateless:
            _require_agreement(message, headers)
        return _answer(offer, message, stateless)
    except Fault as fault:
        status = _STATUS.get(fault.code, 400) if stateless else 200
        return _refusal(fault, None if message.id is UNSET else message.id, status)


def told(offer: Offer, call: Call, text: str, *, failed: bool) -> Reply:
    """The answer of a tool that was called."""
    result = wire.Called(content=(wire.Text(shown(text)),), is_error=failed)
    return _reply(call.id, _sealed(offer, result) if call.stateless else result)


def held(offer: Offer, reading: Reading, text: str) -> Reply:
    """The answer of a resource that was read."""
    result = wire.Held(contents=(wire.Contents(shown(reading.uri), shown(text, RESOURCE_LIMIT)),))
    return _reply(reading.id, _sealed(offer, result) if reading.stateless else result)


def not_held(reading: Reading, why: str, *, broken: bool) -> Reply:
    """The answer to a URI that tells nothing, or, with `broken`, for a fault of ours."""
    code = wire.BROKEN if broken else wire.BAD_PARAMETERS if reading.stateless else wire.NO_RESOURCE
    fault = Fault(code, why, {"uri": shown(reading.uri)})
    return _refusal(fault, reading.id, 400 if reading.stateless and not broken else 200)


def shown(text: str, limit: int = TEXT_LIMIT) -> str:
    """Text as an agent may see it: no control characters but newlines and tabs, and cut where it is too long."""
    text = _UNSHOWN.sub("", text)
    if len(text) <= limit:
        return text
    kept = limit - 100  # with room for what follows
    return f"{text[:kept]}\n[cut here: these are the first {kept:,} of {len(text):,} characters; ask for less]"


def refusal(status: int, why: str) -> Reply:
    """An answer to what is no request yet."""
    return _refusal(Fault(wire.BAD_REQUEST, why), None, status)


def _is_stateless(message: Message, headers: Mapping[str, str]) -> bool:
    """Whether a request is to be taken by the rules of a stateless version: because it says so, or fits no other."""
    if wire.VERSION_KEY in _meta(message):
        return True
    return message.method != "initialize" and _version(headers) not in wire.HANDSHAKE


def _version(headers: Mapping[str, str]) -> str:
    return headers.get("mcp-protocol-version", wire.UNSAID)


def _meta(message: Message) -> dict[str, Any]:
    meta = message.said("_meta")
    return meta if isinstance(meta, dict) else {}


def _require_served(headers: Mapping[str, str]) -> None:
    """Raises Fault(NO_SUCH_VERSION) for a version in the header that is not served."""
    if _version(headers) not in (*wire.STATELESS, *wire.HANDSHAKE):
        raise _no_such_version(_version(headers))


def _no_such_version(asked: str) -> Fault:
    data = {"supported": (*wire.STATELESS, *wire.HANDSHAKE), "requested": asked}
    return Fault(wire.NO_SUCH_VERSION, "Unsupported protocol version", data)


def _require_agreement(message: Message, headers: Mapping[str, str]) -> None:
    """Raises Fault unless a stateless request says of itself what it must, and its headers say the same."""
    meta = _meta(message)
    asked = meta.get(wire.VERSION_KEY)
    if asked is None:
        _require_served(headers)
    if not isinstance(asked, str) or not isinstance(meta.get(wire.CAPABILITIES_KEY), dict):
        needed = f"'{wire.VERSION_KEY}' (a string) and '{wire.CAPABILITIES_KEY}' (an object)"
        raise Fault(wire.BAD_PARAMETERS, f"params._meta must have {needed}")
    _require_same(headers, "MCP-Protocol-Version", asked)
    _require_same(headers, "Mcp-Method", message.method)
    if isinstance(name := message.said(_NAMED.get(message.method, "")), str):
        _require_same(headers, "Mcp-Name", name)
    if asked not in wire.STATELESS:
        raise _no_such_version(asked)


def _require_same(headers: Mapping[str, str], header: str, value: str) -> None:
    given = headers.get(header.lower())
    if given is None:
        raise Fault(wire.HEADER_MISMATCH, f"the header {header} is missing")
    if (_decoded(given) if header == "Mcp-Name" else given) != value:
        raise Fault(wire.HEADER_MISMATCH, f"the header {header} does not say what the body says")


def _decoded(given: str) -> str | None:
    """The value of a header that may be wrapped in base64; None for what is wrapped badly."""
    wrapped = _BASE64.fullmatch(given)
    if wrapped is None:
        return given
    try:
        return base64.b64decode(wrapped[1], validate=True).decode()
    except (binascii.Error, ValueError):
        return None


def _answer(offer: Offer, message: Message, stateless: bool) -> Reply | Call | Reading:
    assert message.id is not UNSET
    if message.method == "tools/call":
        return _call(offer, message, message.id, stateless)
    if message.method == "resources/read" and offer.shelf is not None:
        if not isinstance(uri := message.said("uri"), str):
            raise Fault(wire.BAD_PARAMETERS, "params.uri must be a string")
        return Reading(uri, message.id, stateless)
    result = _told_of_itself(offer, message, stateless)
    if result is None:
        raise Fault(wire.NO_METHOD, f"no such method: {message.method[:100]}")
    return _reply(message.id, _sealed(offer, result) if stateless else result)


def _told_of_itself(offer: Offer, message: Message, stateless: bool) -> wire.Result | None:
    """The result of a method that needs no work, or None for one that is not served in this version."""
    if message.method.endswith("/list") and message.said("cursor") is not None:
        raise Fault(wire.BAD_PARAMETERS, "no such cursor: all is on one page")
    match message.method, stateless:
        case "tools/list", _:
            return wire.Tools(tools=offer.listed)
        case "resources/list", _ if offer.shelf:
            return wire.Resources(resources=tuple(offer.shelf.listed()))
        case "resources/templates/list", _ if offer.shelf:
            return wire.Templates(resource_templates=offer.shelf.templates)
        case "server/discover", True:
            return wire.Discovered(
                supported_versions=wire.STATELESS, instructions=offer.instructions, capabilities=offer.capabilities
            )
        case "initialize", False:
            return _initialized(offer, message.said("protocolVersion"))
        case "ping", False:
            return wire.Result()
        case _:
            return None


def _initialized(offer: Offer, asked: object) -> wire.Initialized:
    if not isinstance(asked, str):
        raise Fault(wire.BAD_PARAMETERS, "params.protocolVersion must be a string")
    return wire.Initialized(
        protocol_version=asked if asked in wire.HANDSHAKE else wire.HANDSHAKE[0],
        server_info=offer.about,
        instructions=offer.instructions,
        capabilities=offer.capabilities,
    )


def _call(offer: Offer, message: Message, id: Id, stateless: bool) -> Reply | Call:
    """The tool to call; arguments that do not fit it are told as its own error, which agents see and can mend."""
    name, arguments = message.said("name"), message.said("arguments")
    if not isinstance(name, str) or not isinstance(arguments, dict | None):
        raise Fault(wire.BAD_PARAMETERS, "params.name must be a string and params.arguments an object")
    tool = offer.tools.get(name)
    if tool is None:
        raise Fault(wire.BAD_PARAMETERS, f"Unknown tool: {name[:100]} (known are: {', '.join(offer.tools)})")
    call = Call(tool, None, id, stateless)
    try:
        return Call(tool, msgspec.convert(arguments or {}, tool.arguments), id, stateless)
    except (ValueError, RecursionError) as error:
        return told(offer, call, f"arguments of '{name}': {error}\n{_takes(tool)}", failed=True)


def _takes(tool: Tool) -> str:
    fields = msgspec.structs.fields(tool.arguments)
    said = [f"{field.encode_name} (needed)" if field.required else field.encode_name for field in fields]
    return f"it takes: {', '.join(said)}" if said else "it takes no arguments"


def _sealed(offer: Offer, result: wire.Result) -> wire.Result:
    """A result as the stateless versions want it."""
    meta = {wire.SERVER_KEY: offer.about}
    result = msgspec.structs.replace(result, result_type="complete", meta=meta)
    if isinstance(result, wire.Lasting):
        lasts_ms = 0 if isinstance(result, wire.Fleeting) else LASTS_MS
        return msgspec.structs.replace(result, ttl_ms=lasts_ms, cache_scope="private")
    return result


def _reply(id: Id, result: wire.Result) -> Reply:
    return Reply(200, wire.encoded(Answer(id=id, result=result)))


def _refusal(fault: Fault, id: Id | None, status: int) -> Reply:
    error = wire.Error(fault.code, shown(fault.message), fault.data)
    return Reply(status, wire.encoded(Answer(id=id, error=error)))
