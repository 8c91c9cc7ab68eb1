"""A client made with version 2 of the official MCP SDK, in the era that is named. Prints what it found as JSON.

With a command after the mode it speaks to that on standard input and output.
"""

import asyncio
import json
import sys

import httpx2
from mcp.client.client import Client
from mcp.client.stdio import StdioServerParameters, stdio_client
from mcp.client.streamable_http import streamable_http_client
from mcp.shared.exceptions import MCPError


async def main(url: str, token: str, mode: str, *command: str) -> dict[str, object]:
    """Everything that the tests ask about."""
    headers = {"Authorization": f"Bearer {token}"}
    async with httpx2.AsyncClient(headers=headers, trust_env=False, timeout=30) as http:
        by_http = streamable_http_client(url, http_client=http)
        started = StdioServerParameters(command=command[0], args=[*command[1:]]) if command else None
        return await found(Client(stdio_client(started) if started else by_http, mode=mode))


async def found(unopened: Client) -> dict[str, object]:
    """What a client finds."""
    async with unopened as client:
        listed = await client.list_tools()
        said, failed, bad = [
            await client.call_tool(name, arguments)
            for name, arguments in (("echo", {"title": "ä\n"}), ("fail", {}), ("echo", {"tittle": "a"}))
        ]
        try:
            unknown: object = (await client.call_tool("nope", {})).model_dump(mode="json")
        except MCPError as error:
            unknown = error.error.code
        shelf = await client.list_resources()
        kinds = await client.list_resource_templates()
        plan, file = [
            (await client.read_resource(uri)).contents[0] for uri in ("test://T1/plan", "test://T1/files/%C3%A4%20b")
        ]
        try:
            other: object = await client.read_resource("test://T2/plan")
        except MCPError as error:
            other = error.error.code
        at_once = await asyncio.gather(*(client.call_tool("echo", {"title": f"t{number}"}) for number in range(20)))
        about = client.server_info
        return {
            "version": client.protocol_version,
            "server": [about.name, about.version] if about else None,
            "instructions": client.instructions,
            "session": None,
            "tools": [[tool.name, tool.description, tool.input_schema] for tool in listed.tools],
            "reads_only": [tool.annotations.read_only_hint for tool in listed.tools if tool.annotations],
            "said": [said.is_error, said.content[0].text],
            "failed": [failed.is_error, failed.content[0].text],
            "bad": [bad.is_error, bad.content[0].text],
            "unknown": unknown,
            "shelf": [[str(one.uri), one.name, one.description, one.mime_type] for one in shelf.resources],
            "kinds": [[one.uri_template, one.name] for one in kinds.resource_templates],
            "held": [[str(one.uri), one.text] for one in (plan, file)],
            "other": other,
            "at_once": [one.content[0].text for one in at_once],
        }


print(json.dumps(asyncio.run(main(*sys.argv[1:]))))
