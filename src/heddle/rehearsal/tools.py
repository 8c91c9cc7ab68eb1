"""Calling a tool that Heddle serves the session, over MCP: one request, one answer."""

import http.client
import json
import os
from urllib.parse import urlsplit

VERSION = "2025-11-25"
PATIENCE_S = 60.0


def call(name: str, arguments: object) -> tuple[str, bool]:
    """What a tool says, and whether it did what was asked. Raises ValueError where the session has no tools."""
    url = os.environ.get("HEDDLE_TOOLS_URL", "")
    if not url:
        raise ValueError("this session has no tools")
    to = urlsplit(url)
    connection = http.client.HTTPConnection(to.hostname or "", to.port, timeout=PATIENCE_S)
    asked = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": name, "arguments": arguments}}
    headers = {
        "Authorization": f"Bearer {os.environ.get('HEDDLE_TOOLS_TOKEN', '')}",
        "Content-Type": "application/json",
        "Accept": "application/json, text/event-stream",
        "MCP-Protocol-Version": VERSION,
    }
    connection.request("POST", to.path, json.dumps(asked), headers)
    answer = json.loads(connection.getresponse().read() or b"{}")
    result = answer.get("result", {})
    text = "\n".join(part.get("text", "") for part in result.get("content", []))
    return text or json.dumps(answer.get("error", "")), "result" in answer and not result.get("isError", False)
