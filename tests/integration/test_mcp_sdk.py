"""The official SDK, in both its versions, as the client of our server of tools."""

import asyncio
import json
import os
import sys
from pathlib import Path

import pytest

from heddle.server.mcp.offer import input_schema
from support.mcp import INSTRUCTIONS, TOKEN, Door, Waiting, served, tools

pytestmark = [pytest.mark.needs("mcp"), pytest.mark.timeout(180)]

SCRIPTS = Path(__file__).parents[1] / "support"
CLIENTS = [
    ("1.30.0", "sdk_client_1.py", "", "2025-11-25"),
    ("2.3.0", "sdk_client_2.py", "legacy", "2025-11-25"),
    ("2.3.0", "sdk_client_2.py", "auto", "2026-07-28"),
    ("2.3.0", "sdk_client_2.py", "2026-07-28", "2026-07-28"),
]


SHIM = (sys.executable, "-I", "-m", "heddle.relay.tools")


async def play(
    door: Door, version: str, script: str, token: str, mode: str, shim: tuple[str, ...] = ()
) -> tuple[int | None, bytes, str]:
    """How a client ended, what it printed and what it complained of. It starts the shim, if one is given, by itself, and
    without its own environment."""
    python = Path(os.environ["HEDDLE_TEST_MCP"], version, "bin", "python")
    client = await asyncio.create_subprocess_exec(
        *(python, "-I", SCRIPTS / script, door.url, token, mode, *shim),
        env={**os.environ, "HEDDLE_TOOLS_URL": door.url, "HEDDLE_TOOLS_TOKEN": token},
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    out, complaint = await client.communicate()
    return client.returncode, out, complaint.decode()


@pytest.mark.parametrize("shim", [(), SHIM], ids=["http", "stdio"])
@pytest.mark.parametrize(("version", "script", "mode", "agreed"), CLIENTS)
async def test_the_official_client_is_served(
    version: str, script: str, mode: str, agreed: str, shim: tuple[str, ...]
) -> None:
    async with served() as door:
        status, out, complaint = await play(door, version, script, TOKEN, mode, shim)
    assert status == 0, complaint
    found = json.loads(out)
    offered = tools(Waiting())
    bad = "arguments of 'echo': Object contains unknown field `tittle`\nit takes: title (needed), times, places, nearest, kind"
    assert found == {
        "version": agreed,
        # a client that takes the version for granted asks for neither
        "server": None if mode == agreed else ["heddle", "1.2.3"],
        "instructions": None if mode == agreed else INSTRUCTIONS,
        "session": None,
        "tools": [[tool.name, tool.description, input_schema(tool.arguments)] for tool in offered],
        "reads_only": [tool.reads_only for tool in offered],
        "said": [False, "ä\n"],
        "failed": [True, "there is no task 'T9'\nhint: heddle list"],
        "bad": [True, bad],
        "unknown": -32602,
        "shelf": [["test://T1/plan", "plan", "What is to be done.", "text/markdown"]],
        "kinds": [["test://T1/files/{+path}", "file"]],
        "held": [["test://T1/plan", "what plan holds"], ["test://T1/files/%C3%A4%20b", "what %C3%A4%20b holds"]],
        "other": -32602 if agreed == "2026-07-28" else -32002,
        "at_once": [f"t{number}" for number in range(20)],
    }


@pytest.mark.parametrize(("version", "script", "mode"), [client[:3] for client in CLIENTS if client[2] != "2026-07-28"])
async def test_the_official_client_is_not_served_without_the_token(version: str, script: str, mode: str) -> None:
    async with served() as door:
        status, out, complaint = await play(door, version, script, "wrong", mode)
    assert (status, out) == (1, b"")
    assert "the token of this session is needed" in complaint or "401 Unauthorized" in complaint
