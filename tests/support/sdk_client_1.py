"""A client made with version 1 of the official MCP SDK: a handshake first. Prints what it found as JSON.

With a command after the mode it speaks to that on standard input and output.
"""

import asyncio
import json
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx
from mcp import ClientSession, McpError, StdioServerParameters
from mcp.client.stdio import stdio_client
from mcp.client.streamable_http import streamable_http_client
from pydantic import AnyUrl


@asynccontextmanager
async def wire(url: str, token: str, command: list[str]) -> AsyncIterator[tuple[Any, ...]]:
    """Reading and writing, and what tells the session's id."""
    if command:
        async with stdio_client(StdioServerParameters(command=command[0], args=command[1:])) as both:
            yield (*both, lambda: None)
        return
    headers = {"Authorization": f"Bearer {token}"}
    async with (
        httpx.AsyncClient(headers=headers, trust_env=False, timeout=30) as client,
        streamable_http_client(url, http_client=client) as all_three,
    ):
        yield all_three


async def main(url: str, token: str, mode: str, *command: str) -> dict[str, object]:
    """Everything that the tests ask about."""
    async with (
        wire(url, token, [*command]) as (reading, writing, session_id),
        ClientSession(reading, writing) as session,
    ):
        hello = await session.initialize()
        await session.send_ping()
        listed = await session.list_tools()
        said, failed, bad = [
            await session.call_tool(name, arguments)
            for name, arguments in (("echo", {"title": "ä\n"}), ("fail", {}), ("echo", {"tittle": "a"}))
        ]
        try:
            unknown: object = (await session.call_tool("nope", {})).model_dump(mode="json")
        except McpError as error:
            unknown = error.error.code
        shelf = await session.list_resources()
        kinds = await session.list_resource_templates()
        plan, file = [
            (await session.read_resource(AnyUrl(uri))).contents[0]
            for uri in ("test://T1/plan", "test://T1/files/%C3%A4%20b")
        ]
        try:
            other: object = await session.read_resource(AnyUrl("test://T2/plan"))
        except McpError as error:
            other = error.error.code
        at_once = await asyncio.gather(*(session.call_tool("echo", {"title": f"t{number}"}) for number in range(20)))
        return {
            "version": hello.protocolVersion,
            "server": [hello.serverInfo.name, hello.serverInfo.version],
            "instructions": hello.instructions,
            "session": session_id(),
            "tools": [[tool.name, tool.description, tool.inputSchema] for tool in listed.tools],
            "reads_only": [tool.annotations.readOnlyHint for tool in listed.tools if tool.annotations],
            "said": [said.isError, said.content[0].text],
            "failed": [failed.isError, failed.content[0].text],
            "bad": [bad.isError, bad.content[0].text],
            "unknown": unknown,
            "shelf": [[str(one.uri), one.name, one.description, one.mimeType] for one in shelf.resources],
            "kinds": [[one.uriTemplate, one.name] for one in kinds.resourceTemplates],
            "held": [[str(one.uri), one.text] for one in (plan, file)],
            "other": other,
            "at_once": [one.content[0].text for one in at_once],
        }


print(json.dumps(asyncio.run(main(*sys.argv[1:]))))
