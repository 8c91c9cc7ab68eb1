"""Long texts: a part at a time by a session's tools, whole as resources, and never those of another session."""

import asyncio
import json
from pathlib import Path
from typing import Any

from heddle.api.session_reading import PART, parts
from heddle.ports import Opening
from support.fleet import PLAN, heddle, make_repository, scene

LINES = "".join(f"{number}. Rule number {number}.\n" for number in range(2_000))


async def ask(opening: Opening, method: str, **params: Any) -> dict[str, Any]:
    """The answer to one request through a session's socket."""
    body = json.dumps({"jsonrpc": "2.0", "id": 1, "method": method, "params": params}).encode()
    head = [f"POST /mcp HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer {opening.token}"]
    head += [f"Content-Length: {len(body)}\r\nContent-Type: application/json\r\nMCP-Protocol-Version: 2025-11-25"]
    reader, writer = await asyncio.open_unix_connection(opening.socket)
    writer.write("\r\n".join((*head, "", "")).encode() + body)
    answer = await asyncio.wait_for(reader.read(), 30)
    writer.close()
    told: dict[str, Any] = json.loads(answer.partition(b"\r\n\r\n")[2])
    return told


def test_parts_are_all_of_a_text_and_none_is_too_long() -> None:
    for text in ("", "a", LINES, "x" * (3 * PART + 1), "\n" * (2 * PART)):
        found = parts(text)
        assert "".join(found) == text
        assert all(len(piece) <= PART for piece in found)
    assert all(piece.endswith("\n") for piece in parts(LINES))


async def test_x1_a_session_reads_its_own_task_whole_and_no_other_one(tmp_path: Path) -> None:
    files = {"AGENTS.md": LINES, "lib/AGENTS.md": "No tabs.\n", "a.py": "x = 1\n"}
    repository = make_repository(tmp_path / "repo", files)
    scenes = [
        scene("research", {"do": "document", "text": "# Facts\n- a.py:1\n"}),
        scene("plan", {"do": "document", "text": PLAN.format(path="b.txt")}),
        scene("execute", {"do": "write", "path": "b.txt", "text": "x\n"}, {"do": "ask", "text": "which?"}),
    ]
    async with heddle(tmp_path, repository, scenes, '[sandbox]\ntier = "0"\n') as fleet:
        await fleet.start("write b")
        await fleet.until_kind("T1", "plan-delivered")
        await fleet.call("inbox.approve", task="T1")
        await fleet.until_kind("T1", "question-asked")
        await fleet.start("another")
        where = {"root": str(repository)}
        await fleet.call("note.add", text="mind the gap", kind="warning", paths=["b.*"], **where)
        opening = await fleet.house.desk.fleet.outside.tools.open("T1", "T1-1-execute-1.1")
        listed = (await ask(opening, "resources/list"))["result"]["resources"]
        assert [one["uri"] for one in listed] == [
            f"heddle://T1/{name}" for name in ("handoff", "research", "plan", "rules", "notes")
        ]
        held = {}
        for uri in (*(one["uri"] for one in listed), "heddle://T1/rules/lib/x%2Epy"):
            (one,) = (await ask(opening, "resources/read", uri=uri))["result"]["contents"]
            held[uri.removeprefix("heddle://T1/")] = one["text"]
        refused = ["heddle://T2/handoff", "heddle://T1/plan/x", "heddle://T1/", "heddle://T1", "heddle://T1/../T2/plan"]
        refused += ["file:///etc/passwd", "heddle://T1/secrets", "heddle://t1/plan", "heddle://T1/" + "x" * 100_000]
        for uri in refused:
            error = (await ask(opening, "resources/read", uri=uri))["error"]
            assert error["code"] == -32002 and "there is no resource" in error["message"], uri
        bad = (await ask(opening, "resources/read", uri="heddle://T1/rules/../../etc/passwd"))["error"]
        assert bad["code"] == -32002 and "/etc" in bad["message"]
        told = []
        for number in range(1, 8):
            arguments = {"name": "read_rules", "arguments": {"part": number}}
            told.append((await ask(opening, "tools/call", **arguments))["result"])
        await fleet.call("task.stop", task="T1")
        other = await fleet.house.desk.fleet.outside.tools.open("T1", "T1-1-execute-9.1")
        assert (await ask(other, "resources/list"))["result"]["resources"] == []
        assert "is over" in (await ask(other, "resources/read", uri="heddle://T1/plan"))["error"]["message"]
    assert "# Facts" in held["research"] and "1. Write b.txt." in held["plan"] and "T1: write b" in held["handoff"]
    assert LINES in held["rules"] and "mind the gap" in held["notes"]
    assert held["rules/lib/x%2Epy"].startswith("lib/AGENTS.md:\nNo tabs.\n")
    texts = [one["content"][0]["text"] for one in told]
    assert all(len(text) < PART + 300 for text in texts)
    assert "(part 1 of 6; the next is part=2; the whole is the resource heddle://T1/rules)" in texts[0]
    assert "(part 6 of 6; the whole" in texts[5] and "1999. Rule" in texts[5]
    assert told[6]["isError"] and "there is no part 7" in texts[6]
