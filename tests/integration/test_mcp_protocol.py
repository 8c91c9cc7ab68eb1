"""Tools over MCP: both eras, the door, and whatever else may be sent to it."""

import asyncio
import base64
import json
import logging
from collections.abc import AsyncIterator
from typing import Any

import msgspec
import pytest
import pytest_asyncio
from hypothesis import given
from hypothesis import strategies as st

from heddle.server.mcp import app as door_module
from heddle.server.mcp import protocol as protocol_module
from heddle.server.mcp.app import PATH, application, refuse
from heddle.server.mcp.offer import Tool, input_schema, offer
from heddle.server.mcp.protocol import TEXT_LIMIT, Call, Reading, Reply, held, not_held, read, shown, told
from support.mcp import (
    INSTRUCTIONS,
    PATIENCE_S,
    SHELF,
    STATELESS,
    TOKEN,
    VERSION,
    Door,
    Nothing,
    Said,
    Waiting,
    head,
    request,
    served,
    tools,
)

SUPPORTED = ["2026-07-28", "2025-11-25", "2025-06-18", "2025-03-26"]


@pytest_asyncio.fixture
async def door() -> AsyncIterator[Door]:
    async with served() as here:
        yield here


# with a handshake


@pytest.mark.parametrize(
    ("asked", "agreed"),
    [
        ("2025-11-25", "2025-11-25"),
        ("2025-06-18", "2025-06-18"),
        ("2025-03-26", "2025-03-26"),
        ("2024-11-05", "2025-11-25"),
        ("2026-07-28", "2025-11-25"),
        ("", "2025-11-25"),
    ],
)
async def test_a_handshake_agrees_on_a_version(door: Door, asked: str, agreed: str) -> None:
    hello = request("initialize", protocolVersion=asked, capabilities={}, clientInfo={"name": "c", "version": "1"})
    answer = await door.post(hello)
    assert answer.status_code == 200
    assert answer.json() == {
        "jsonrpc": "2.0",
        "id": 1,
        "result": {
            "protocolVersion": agreed,
            "serverInfo": {"name": "heddle", "version": "1.2.3"},
            "instructions": INSTRUCTIONS,
            "capabilities": {"tools": {}, "resources": {}},
        },
    }
    assert "mcp-session-id" not in answer.headers


@pytest.mark.parametrize("header", [*SUPPORTED, "2031-01-01"])
async def test_a_handshake_is_taken_whatever_its_header_says(door: Door, header: str) -> None:
    answer = await door.post(request("initialize", protocolVersion="2025-11-25"), {"MCP-Protocol-Version": header})
    assert answer.json()["result"]["protocolVersion"] == "2025-11-25"


async def test_after_a_handshake_all_goes_on(door: Door) -> None:
    note = {"jsonrpc": "2.0", "method": "notifications/initialized"}
    answer = await door.post(note, {"MCP-Protocol-Version": "2025-11-25"})
    assert (answer.status_code, answer.content) == (202, b"")
    assert (await door.ask("ping"))["result"] == {}
    listed = (await door.ask("tools/list"))["result"]
    assert list(listed) == ["tools"]
    assert [tool["name"] for tool in listed["tools"]] == ["wait", "echo", "fail", "break"]
    assert await door.call("echo", title="a") == {"content": [{"type": "text", "text": "a"}], "isError": False}


async def test_a_client_that_names_no_version_is_served(door: Door) -> None:
    answer = await door.post(request("tools/call", name="echo", arguments={"title": "a"}))
    assert answer.json()["result"] == {"content": [{"type": "text", "text": "a"}], "isError": False}


@pytest.mark.parametrize(
    "method", ["resources/subscribe", "prompts/list", "logging/setLevel", "subscriptions/listen", "x\x1b"]
)
async def test_what_is_not_offered_is_no_method(door: Door, method: str) -> None:
    error = (await door.ask(method))["error"]
    assert error == {"code": -32601, "message": f"no such method: {method.rstrip(chr(27))}"}
    answer = await door.say(method, {"Mcp-Method": method.rstrip("\x1b")})
    assert answer.status_code == (404 if method.isprintable() else 400)


# without a handshake


async def test_a_stateless_client_discovers(door: Door) -> None:
    answer = await door.say("server/discover")
    assert answer.status_code == 200
    assert answer.json()["result"] == {
        "resultType": "complete",
        "_meta": {"io.modelcontextprotocol/serverInfo": {"name": "heddle", "version": "1.2.3"}},
        "ttlMs": 300_000,
        "cacheScope": "private",
        "supportedVersions": ["2026-07-28"],
        "instructions": INSTRUCTIONS,
        "capabilities": {"tools": {}, "resources": {}},
    }


async def test_a_stateless_client_lists_and_calls(door: Door) -> None:
    first, second = await door.say("tools/list"), await door.say("tools/list")
    assert first.json() == second.json()
    listed = first.json()["result"]
    assert {name: listed[name] for name in ("resultType", "ttlMs", "cacheScope")} == {
        "resultType": "complete",
        "ttlMs": 300_000,
        "cacheScope": "private",
    }
    assert listed["tools"] == (await door.ask("tools/list"))["result"]["tools"]
    result = (await door.say("tools/call", name="echo", arguments={"title": "a"})).json()["result"]
    assert result["resultType"] == "complete"
    assert (result["content"], result["isError"]) == ([{"type": "text", "text": "a"}], False)


@pytest.mark.parametrize("method", ["ping", "initialize"])
async def test_the_handshake_is_no_method_of_a_stateless_version(door: Door, method: str) -> None:
    answer = await door.say(method, protocolVersion="2025-11-25")
    assert (answer.status_code, answer.json()["error"]["code"]) == (404, -32601)


async def test_an_unknown_version_is_told_the_known_ones(door: Door) -> None:
    told_so = {"supported": SUPPORTED, "requested": "2031-01-01"}
    meta = {**STATELESS, VERSION: "2031-01-01"}
    both = await door.say("tools/list", {"MCP-Protocol-Version": "2031-01-01"}, _meta=meta)
    header = await door.post(request("tools/list"), {"MCP-Protocol-Version": "2031-01-01"})
    note = await door.post({"jsonrpc": "2.0", "method": "n"}, {"MCP-Protocol-Version": "2031-01-01"})
    for answer in (both, header, note):
        assert answer.status_code == 400
        assert answer.json()["error"] == {"code": -32022, "message": "Unsupported protocol version", "data": told_so}


@pytest.mark.parametrize(
    ("headers", "named"),
    [
        ({"MCP-Protocol-Version": "2025-11-25"}, "MCP-Protocol-Version"),
        ({"MCP-Protocol-Version": "2026-07-29"}, "MCP-Protocol-Version"),
        ({"Mcp-Method": "tools/list"}, "Mcp-Method"),
        ({"Mcp-Method": "Tools/Call"}, "Mcp-Method"),
        ({"Mcp-Name": "fail"}, "Mcp-Name"),
        ({"Mcp-Name": "=?base64?ZmFpbA==?="}, "Mcp-Name"),
        ({"Mcp-Name": "=?base64?&&&?="}, "Mcp-Name"),
        ({"Mcp-Name": "=?base64?ZWNo&bw==?="}, "Mcp-Name"),
        ({"Mcp-Name": "=?base64?/w==?="}, "Mcp-Name"),
    ],
)
async def test_headers_must_say_what_the_body_says(door: Door, headers: dict[str, str], named: str) -> None:
    answer = await door.say("tools/call", headers, name="echo", arguments={"title": "a"})
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, -32020)
    assert named in answer.json()["error"]["message"]


@pytest.mark.parametrize("lacking", ["MCP-Protocol-Version", "Mcp-Method", "Mcp-Name"])
async def test_headers_must_be_there_once(door: Door, lacking: str) -> None:
    right = {"MCP-Protocol-Version": "2026-07-28", "Mcp-Method": "tools/call", "Mcp-Name": "echo"}
    body = json.dumps(request("tools/call", _meta=STATELESS, name="echo", arguments={"title": "a"})).encode()
    for times in (0, 2):
        named = [f"{key}: {value}" for key, value in right.items() if key != lacking]
        lines = [*named, *[f"{lacking}: {right[lacking]}"] * times, "Host: localhost", "Connection: close"]
        answer = await door.raw(head(*lines, length=len(body)) + body)
        assert answer.startswith(b"HTTP/1.1 400 ")
        assert b'"code":-32020' in answer


async def test_a_name_in_base64_is_the_same_name(door: Door) -> None:
    wrapped = f"=?base64?{base64.b64encode(b'echo').decode()}?="
    answer = await door.say("tools/call", {"Mcp-Name": wrapped}, name="echo", arguments={"title": "a"})
    assert answer.json()["result"]["isError"] is False


@pytest.mark.parametrize("lacking", STATELESS)
@pytest.mark.parametrize("instead", [None, 3, []])
async def test_a_stateless_request_says_what_it_is(door: Door, lacking: str, instead: object) -> None:
    answer = await door.say("tools/list", _meta={**STATELESS, lacking: instead})
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, -32602)
    assert lacking in answer.json()["error"]["message"]


async def test_nothing_is_discovered_where_there_are_handshakes(door: Door) -> None:
    assert (await door.ask("server/discover"))["error"]["code"] == -32601


# tools


@pytest.mark.parametrize("name", ["nope", "", "Echo", "x\x1b[2J", 3, None, ["echo"]])
async def test_an_unknown_tool_is_an_error_of_the_protocol(door: Door, name: object) -> None:
    answer = await door.ask("tools/call", name=name, arguments={})
    assert answer["error"]["code"] == -32602
    assert "\x1b" not in answer["error"]["message"]
    if isinstance(name, str):
        assert "known are: wait, echo, fail, break" in answer["error"]["message"]


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        ({}, "Object missing required field `title`"),
        ({"title": 3}, "Expected `str`, got `int` - at `$.title`"),
        ({"title": "a", "tittle": "b"}, "Object contains unknown field `tittle`"),
        ({"title": "a", "times": 0}, "Expected `int` >= 1 - at `$.times`"),
        ({"title": "a", "times": True}, "Expected `int`, got `bool` - at `$.times`"),
        ({"title": "a", "kind": "soft"}, "Invalid enum value 'soft' - at `$.kind`"),
        ({"title": "a", "places": [{"path": ""}]}, "Expected `str` of length >= 1 - at `$.places[0].path`"),
        ({"title": "a", "nearest": {"path": "a", "to": 1}}, "Object contains unknown field `to` - at `$.nearest`"),
    ],
)
async def test_arguments_that_do_not_fit_are_told_so_that_they_can_be_mended(
    door: Door, arguments: dict[str, Any], complaint: str
) -> None:
    result = await door.call("echo", **arguments)
    takes = "it takes: title (needed), times, places, nearest, kind"
    assert result == {
        "content": [{"type": "text", "text": f"arguments of 'echo': {complaint}\n{takes}"}],
        "isError": True,
    }


async def test_arguments_may_be_left_out_where_none_are_needed(door: Door) -> None:
    for params in ({}, {"arguments": None}, {"arguments": {}}):
        result = (await door.ask("tools/call", name="fail", **params))["result"]
        assert result["content"][0]["text"].startswith("there is no task")
    for wrong in ([], "a", 3):
        assert (await door.ask("tools/call", name="fail", arguments=wrong))["error"]["code"] == -32602


async def test_an_error_of_heddle_is_told_with_its_next_step(door: Door) -> None:
    told_so = [{"type": "text", "text": "there is no task 'T9'\nhint: heddle list"}]
    assert await door.call("fail") == {"content": told_so, "isError": True}


async def test_a_fault_of_ours_is_logged_and_not_told(door: Door, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.ERROR, "heddle.mcp"):
        result = await door.call("break")
    assert result["isError"] is True
    assert "a fault of heddle's own in 'break'" in result["content"][0]["text"]
    assert "secret" not in result["content"][0]["text"]
    assert "KeyError: 'a secret of ours'" in caplog.text


async def test_text_has_no_control_characters_and_an_end(door: Door) -> None:
    result = await door.call("echo", title="a\x1b[2J\r\nb\tc\x00\x7f\x9b\u202fd")
    assert result["content"][0]["text"] == "a[2J\nb\tc\u202fd"
    text = (await door.call("echo", title="0123456789", times=5000))["content"][0]["text"]
    assert TEXT_LIMIT - 100 < len(text) <= TEXT_LIMIT
    kept, last = text.splitlines()
    assert (kept, len(kept)) == ("0123456789" * 2390, 23_900)
    assert last == "[cut here: these are the first 23,900 of 50,000 characters; ask for less]"
    whole = (await door.call("echo", title="0123456789", times=TEXT_LIMIT // 10))["content"][0]["text"]
    assert whole == "0123456789" * (TEXT_LIMIT // 10)


# the door


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Authorization": ""}, 401),
        ({"Authorization": "Bearer"}, 401),
        ({"Authorization": "Bearer wrong"}, 401),
        ({"Authorization": f"Bearer {TOKEN}x"}, 401),
        ({"Authorization": f"Bearer {TOKEN[:-1]}"}, 401),
        ({"Authorization": f"Basic {TOKEN}"}, 401),
        ({"Authorization": TOKEN}, 401),
        ({"Authorization": f"bearer  {TOKEN}"}, 202),
        ({"Origin": "http://127.0.0.1"}, 403),
        ({"Origin": "null"}, 403),
        ({"Origin": ""}, 403),
        ({"Host": "127.0.0.1"}, 202),
        ({"Host": "127.77.77.77:9"}, 202),
        ({"Host": "LocalHost:65535"}, 202),
        ({"Host": "127.0.0.2"}, 403),
        ({"Host": "localhost.evil.example"}, 403),
        ({"Host": "evil.example:80"}, 403),
        ({"Host": "127.0.0.1:80@evil.example"}, 403),
        ({"Host": "localhost:"}, 403),
        ({"Host": ""}, 403),
        ({"Content-Type": "text/plain"}, 415),
        ({"Content-Type": ""}, 415),
        ({"Content-Type": "application/json-rpc"}, 415),
        ({"Content-Type": "Application/JSON; charset=utf-8"}, 202),
        ({"Accept": "text/html"}, 406),
        ({"Accept": "text/event-stream"}, 406),
        ({"Accept": "application/json, text/event-stream"}, 202),
        ({"Accept": "application/json;q=0.5"}, 202),
        ({"Accept": "*/*"}, 202),
        ({"Mcp-Session-Id": "of-another-server"}, 202),
    ],
)
async def test_who_may_come_in(door: Door, headers: dict[str, str], status: int) -> None:
    answer = await door.post({"jsonrpc": "2.0", "method": "notifications/initialized"}, headers)
    assert answer.status_code == status
    assert answer.headers["connection"] == "close"
    assert answer.headers.get("www-authenticate") == ("Bearer" if status == 401 else None)
    assert TOKEN not in answer.text


async def test_only_posts_to_one_place(door: Door) -> None:
    for method in ("GET", "DELETE", "PUT", "OPTIONS", "HEAD"):
        answer = await door.client.request(method, door.url, headers={"Authorization": f"Bearer {TOKEN}"})
        assert (answer.status_code, answer.headers["allow"]) == (405, "POST")
        assert (await door.client.request(method, door.url)).status_code == 401
    for path in ("/", "/mcp/", "/mcp/../mcp", "//mcp", "/.well-known/oauth-protected-resource"):
        start = f"POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\nAuthorization: Bearer {TOKEN}\r\n\r\n"
        assert (await door.raw(start.encode())).startswith(b"HTTP/1.1 404 ")


async def test_a_host_may_be_left_out_by_old_clients_alone(door: Door) -> None:
    body = json.dumps(request("ping")).encode()
    assert (await door.raw(head(length=len(body), http="1.0") + body)).startswith(b"HTTP/1.1 200 ")
    answer = await door.raw(head("Connection: close", length=len(body)) + body)
    assert answer.startswith((b"HTTP/1.1 400 ", b"HTTP/1.1 403 "))
    given = {"authorization": f"Bearer {TOKEN}", "content-type": "application/json"}
    for http, status in (("1.1", 403), ("2", 403), ("1.0", None)):
        refused = refuse("POST", PATH, http, given, TOKEN)
        assert (refused and refused.status) == status
    twice = head("Host: localhost", "Host: localhost", "Connection: close", length=len(body))
    assert (await door.raw(twice + body)).startswith((b"HTTP/1.1 400 ", b"HTTP/1.1 403 "))


async def test_nothing_of_a_body_is_read_before_the_token(door: Door) -> None:
    refused = head("Host: localhost", "Expect: 100-continue", length=900_000, token="wrong")
    answer = await door.raw(refused)
    assert answer.startswith(b"HTTP/1.1 401 ")
    assert b"100 Continue" not in answer
    async with door.line() as (reader, writer):
        writer.write(head("Host: localhost", "Expect: 100-continue", length=900_000))
        assert await reader.readline() == b"HTTP/1.1 100 Continue\r\n"


async def test_a_body_has_a_limit(door: Door, monkeypatch: pytest.MonkeyPatch) -> None:
    too_much = json.dumps(request("ping", padding="x" * 1_000_000)).encode()
    assert (await door.raw(head("Host: localhost", length=len(too_much)))).startswith(b"HTTP/1.1 413 ")
    assert (await door.raw(head("Host: localhost", length=10**12))).startswith(b"HTTP/1.1 413 ")
    just = json.dumps(request("ping", padding="x" * 900_000)).encode()
    assert (await door.post(just)).status_code == 200
    start = head("Host: localhost", "Transfer-Encoding: chunked").replace(b"Content-Length: 0\r\n", b"")
    chunk = b"fff\r\n" + b" " * 0xFFF + b"\r\n"
    async with door.line() as (reader, writer):
        writer.write(start)
        for _ in range(1_000_000 // 0xFFF + 1):
            writer.write(chunk)
            await writer.drain()
        assert (await reader.readline()).startswith(b"HTTP/1.1 413 ")


async def test_half_a_body_is_not_waited_for(door: Door, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(door_module, "BODY_S", 0.2)
    body = json.dumps(request("ping")).encode()
    answer = await door.raw(head("Host: localhost", length=len(body)) + body[:-1])
    assert answer.startswith(b"HTTP/1.1 408 ")
    assert (await door.ask("ping"))["result"] == {}


async def test_a_client_that_goes_away_cancels_its_call(door: Door) -> None:
    body = json.dumps(request("tools/call", name="wait", arguments={"title": "a"})).encode()
    async with door.line() as (_, writer):
        writer.write(head("Host: localhost", length=len(body)) + body)
        await door.waiting.until("came", 1)
        assert door.waiting.cancelled == 0
    await door.waiting.until("cancelled", 1)


async def test_a_client_that_goes_away_half_way_leaves_nothing(door: Door, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(door_module, "AT_ONCE", 1)
    async with door.line() as (_, writer):
        writer.write(head("Host: localhost", length=100) + b"{")
        await _until(door, 503)
    await _until(door, 200)


async def test_a_client_that_never_reads_holds_nothing_up(door: Door, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(protocol_module, "TEXT_LIMIT", 10_000_000)
    monkeypatch.setattr(door_module, "AT_ONCE", 1)
    body = json.dumps(request("tools/call", name="echo", arguments={"title": "x" * 1000, "times": 10_000})).encode()
    once = head("Host: localhost", length=len(body)) + body
    async with door.line() as (reader, writer):
        writer.write(once * 20)
        assert await reader.readline() == b"HTTP/1.1 200 OK\r\n"
        await _until(door, 200)


async def _until(door: Door, status: int) -> None:
    """Until a further request is answered so."""
    async with asyncio.timeout(PATIENCE_S):
        while (await door.post(request("ping"))).status_code != status:
            pass


async def test_a_connection_bears_one_request(door: Door) -> None:
    body = json.dumps(request("ping")).encode()
    answer = await door.raw((head("Host: localhost", length=len(body)) + body) * 3)
    assert answer.count(b"HTTP/1.1 200 ") == 1
    assert answer.count(b'"result":{}') == 1


async def test_twenty_at_once_each_have_their_own_answer(door: Door) -> None:
    asked = [asyncio.create_task(door.call("wait", title=f"t{number}")) for number in range(20)]
    await door.waiting.until("came", 20)
    door.waiting.let_go.set()
    assert [(await one)["content"][0]["text"] for one in asked] == [f"t{number}" for number in range(20)]


async def test_there_is_a_limit_to_what_is_open_at_once(door: Door, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(door_module, "AT_ONCE", 2)
    asked = [asyncio.create_task(door.call("wait", title="a")) for _ in range(2)]
    await door.waiting.until("came", 2)
    assert (await door.post(request("ping"))).status_code == 503
    door.waiting.let_go.set()
    assert [(await one)["isError"] for one in asked] == [False, False]
    assert (await door.post(request("ping"))).status_code == 200


async def test_nothing_but_http_is_served() -> None:
    serve = application("h", "1", "", [], TOKEN)
    sent: list[dict[str, Any]] = []

    async def receive() -> dict[str, Any]:
        return {"type": "websocket.connect"}

    async def send(said: Any) -> None:
        sent.append(said)

    await serve({"type": "websocket"}, receive, send)
    assert sent == [{"type": "websocket.close"}]
    with pytest.raises(NotImplementedError):
        await serve({"type": "lifespan"}, receive, send)


# garbage


@pytest.mark.parametrize(
    ("body", "code", "id"),
    [
        (b"", -32700, None),
        (b"{", -32700, None),
        (b"nonsense", -32700, None),
        (b"\xff\xfe", -32700, None),
        (b'{"jsonrpc":"2.0","id":1,"method":"\xff"}', -32700, None),
        (b'{"jsonrpc":"2.0","id":1,"method":"\\ud800"}', -32700, None),
        (b'{"jsonrpc":"2.0","id":1,"method":"ping","more":"\xff"}', -32700, None),
        (b'{"jsonrpc":"2.0","id":1,"method":"ping"} {}', -32700, None),
        (b'{"jsonrpc":"2.0","id":1,"method":"ping","params":{"a":NaN}}', -32700, None),
        (b"[]", -32600, None),
        (b' [{"jsonrpc":"2.0","id":1,"method":"ping"}]', -32600, None),
        (b"[" * 100_000, -32600, None),
        (b"null", -32600, None),
        (b"3", -32600, None),
        (b"{}", -32600, None),
        (b'{"id":1,"method":"ping"}', -32600, 1),
        (b'{"jsonrpc":"1.0","id":"a","method":"ping"}', -32600, "a"),
        (b'{"jsonrpc":"2.0","id":1}', -32600, 1),
        (b'{"jsonrpc":"2.0","id":1,"result":{}}', -32600, 1),
        (b'{"jsonrpc":"2.0","id":1,"method":3}', -32600, 1),
        (b'{"jsonrpc":"2.0","id":1,"method":"ping","params":[]}', -32600, 1),
        (b'{"jsonrpc":"2.0","id":1,"method":"ping","params":{"a":1e999}}', -32600, 1),
        (b'{"jsonrpc":"2.0","id":null,"method":"ping"}', -32600, None),
        (b'{"jsonrpc":"2.0","id":true,"method":"ping"}', -32600, None),
        (b'{"jsonrpc":"2.0","id":1.5,"method":"ping"}', -32600, None),
        (b'{"jsonrpc":"2.0","id":[1],"method":"ping"}', -32600, None),
        (b'{"jsonrpc":"2.0","id":99999999999999999999,"method":"ping"}', -32600, None),
        (
            b'{"jsonrpc":"2.0","id":1,"method":"ping","params":{"a":' + b"[" * 100_000 + b"]" * 100_000 + b"}}",
            -32600,
            None,
        ),
    ],
)
async def test_what_is_no_request_is_told_why(door: Door, body: bytes, code: int, id: object) -> None:
    answer = await door.post(body)
    assert answer.status_code == 400
    assert answer.json()["error"]["code"] == code
    assert answer.json()["id"] == id
    assert (await door.ask("ping"))["result"] == {}


@pytest.mark.parametrize("id", [0, -1, 2**63 - 1, "", "a" * 10_000, "\u0000ü"])
async def test_an_id_comes_back_as_it_was(door: Door, id: object) -> None:
    assert (await door.post(request("ping", id))).json() == {"jsonrpc": "2.0", "id": id, "result": {}}


async def test_resources_are_listed_and_read_in_both_eras(door: Door) -> None:
    plan = {"uri": "test://T1/plan", "mimeType": "text/markdown"}
    for method, many, found in (
        ("resources/list", "resources", {**plan, "name": "plan", "description": "What is to be done."}),
        ("resources/templates/list", "resourceTemplates", {"uriTemplate": "test://T1/files/{+path}", "name": "file"}),
    ):
        agreed = (await door.ask(method))["result"]
        stateless = (await door.say(method)).json()["result"]
        assert list(agreed) == [many] and agreed[many] == stateless[many]
        assert found.items() <= agreed[many][0].items()
        assert stateless["ttlMs"] == (0 if many == "resources" else 300_000)
        assert (await door.ask(method, cursor="next"))["error"]["code"] == -32602
    held = {"contents": [{**plan, "text": "what plan holds"}]}
    assert (await door.ask("resources/read", uri=plan["uri"]))["result"] == held
    answer = (await door.say("resources/read", uri=plan["uri"])).json()["result"]
    assert (answer["contents"], answer["ttlMs"], answer["cacheScope"]) == (held["contents"], 0, "private")
    other = await door.say("resources/read", {"Mcp-Name": "test://T2/plan"}, uri=plan["uri"])
    assert (other.status_code, other.json()["error"]["code"]) == (400, -32020)


async def test_what_no_resource_is_is_told_as_an_error(door: Door, caplog: pytest.LogCaptureFixture) -> None:
    told_so = {"message": "there is no such resource\nhint: list them", "data": {"uri": "test://T2/plan"}}
    assert (await door.ask("resources/read", uri="test://T2/plan\x1b"))["error"] == {"code": -32002, **told_so}
    answer = await door.say("resources/read", uri="test://T2/plan")
    assert (answer.status_code, answer.json()["error"]) == (400, {"code": -32602, **told_so})
    for uri in (None, 3, ["test://T1/plan"]):
        assert (await door.ask("resources/read", uri=uri))["error"]["code"] == -32602
    with caplog.at_level(logging.ERROR, "heddle.mcp"):
        error = (await door.ask("resources/read", uri="test://broken"))["error"]
    assert error["code"] == -32603 and "secret" not in error["message"]
    assert "KeyError: 'a secret of ours'" in caplog.text


async def test_parameters_may_be_left_out(door: Door) -> None:
    for more in ({}, {"params": None}):
        answer = await door.post({"jsonrpc": "2.0", "id": 1, "method": "tools/list", **more})
        assert len(answer.json()["result"]["tools"]) == 4
    for cursor in ("next", 3, {}):
        assert (await door.ask("tools/list", cursor=cursor))["error"]["code"] == -32602
    assert (await door.ask("initialize", protocolVersion=3))["error"]["code"] == -32602


SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | st.text()
ANYTHING = st.recursive(SCALARS, lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner), max_leaves=8)
METHODS = ("initialize", "server/discover", "ping", "tools/list", "tools/call", "notifications/initialized")
METHODS += ("resources/list", "resources/read", "resources/templates/list")
META = st.fixed_dictionaries({}, optional={key: st.sampled_from([*SUPPORTED, {}]) | ANYTHING for key in STATELESS})
ARGUMENTS = st.fixed_dictionaries({}, optional=dict.fromkeys(("title", "times", "places", "nearest", "kind"), ANYTHING))
PARAMS = st.fixed_dictionaries(
    {},
    optional={
        "name": st.sampled_from(["echo", "fail"]) | ANYTHING,
        "arguments": ARGUMENTS | ANYTHING,
        "protocolVersion": st.sampled_from(SUPPORTED) | ANYTHING,
        "cursor": ANYTHING,
        "uri": st.just("test://T1/plan") | ANYTHING,
        "_meta": META | ANYTHING,
    },
)
REQUESTS = st.fixed_dictionaries(
    {"jsonrpc": st.just("2.0")},
    optional={
        "id": st.integers() | st.text() | ANYTHING,
        "method": st.sampled_from(METHODS) | ANYTHING,
        "params": PARAMS,
    },
)
HEADERS = st.fixed_dictionaries(
    {},
    optional={
        "mcp-protocol-version": st.sampled_from(SUPPORTED) | st.text(),
        "mcp-method": st.sampled_from(METHODS) | st.text(),
        "mcp-name": st.sampled_from(["echo", "fail", "=?base64?ZWNobw==?="]) | st.text(),
    },
)
OFFER = offer("h", "1", "", tools(Waiting()), SHELF)


def check(body: bytes, headers: dict[str, str]) -> None:
    """Whatever comes in, what goes out is whole."""
    reply = read(OFFER, headers, body)
    if isinstance(reply, Call):
        assert isinstance(reply.arguments, reply.tool.arguments)
        reply = told(OFFER, reply, "text", failed=False)
    if isinstance(reply, Reading):
        reply = held(OFFER, reply, "text") if len(reply.uri) % 2 else not_held(reply, "no", broken=False)
    assert isinstance(reply, Reply)
    if reply.status == 202:
        assert reply.body == b""
        return
    answer = json.loads(reply.body)
    assert answer["jsonrpc"] == "2.0"
    assert ("result" in answer) != ("error" in answer)
    assert reply.status in (200, 400, 404)
    assert reply.status == 200 or "error" in answer


@given(ANYTHING | REQUESTS, HEADERS)
def test_any_json_has_an_answer(said: object, headers: dict[str, str]) -> None:
    check(json.dumps(said).encode(), headers)


@given(st.binary(), HEADERS)
def test_any_bytes_have_an_answer(said: bytes, headers: dict[str, str]) -> None:
    check(said, headers)


@given(st.text(st.characters(codec=None)))
def test_what_is_shown_can_be_shown_and_is_not_changed_again(text: str) -> None:
    once = shown(text)
    assert once.encode() == shown(once).encode()
    assert all(char in "\n\t" or (ord(char) >= 32 and not 127 <= ord(char) < 160) for char in once)


# schemas


def test_a_schema_is_in_one_piece() -> None:
    place = {
        "description": "Where something lies.",
        "type": "object",
        "properties": {
            "path": {"description": "From the top of the repository.", "type": "string", "minLength": 1},
            "line": {"type": "integer", "minimum": 1, "default": 1},
        },
        "required": ["path"],
        "additionalProperties": False,
    }
    assert input_schema(Said) == {
        "type": "object",
        "properties": {
            "title": {"description": "What to say.", "type": "string"},
            "times": {"type": "integer", "minimum": 1, "maximum": 100_000, "default": 1},
            "places": {"type": "array", "items": place, "default": []},
            "nearest": {"anyOf": [place, {"type": "null"}], "default": None},
            "kind": {"enum": ["loud", "plain"], "default": "plain"},
        },
        "required": ["title"],
        "additionalProperties": False,
    }
    assert input_schema(Nothing) == {"type": "object", "properties": {}, "required": [], "additionalProperties": False}


class Open(msgspec.Struct):
    """Takes anything."""


class Nested(msgspec.Struct, forbid_unknown_fields=True):
    """Contains itself."""

    inner: "Nested | None" = None


class Mapped(msgspec.Struct, forbid_unknown_fields=True):
    """A mapping and a pair of others."""

    title: dict[str, Nothing]
    pair: tuple[Nothing, int]


def test_references_are_followed_wherever_they_are() -> None:
    schema = json.dumps(input_schema(Mapped))
    assert "$ref" not in schema
    assert schema.count('"additionalProperties": false') == 3


@pytest.mark.parametrize("arguments", [Open, Nested])
def test_arguments_that_cannot_be_offered(arguments: type[msgspec.Struct]) -> None:
    with pytest.raises(ValueError, match="takes unknown fields|contains itself"):
        application("h", "1", "", [Tool("a", "A", arguments, Waiting().wait)], TOKEN)


def test_tools_that_cannot_be_offered() -> None:
    one = Tool("a", "A", Nothing, Waiting().wait)
    with pytest.raises(ValueError, match="same name"):
        offer("h", "1", "", [one, one])
    for name in ("", "a b", "ä", "a\n", "a" * 65):
        with pytest.raises(ValueError, match="no name for a tool"):
            offer("h", "1", "", [Tool(name, "A", Nothing, Waiting().wait)])
    with pytest.raises(ValueError, match="token"):
        application("h", "1", "", [one], "")
