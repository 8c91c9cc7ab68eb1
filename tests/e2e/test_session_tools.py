"""What sessions ask of Heddle while they work: each as itself, over MCP, from inside its sandbox."""

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from support.fleet import PLAN, Heddle, git, heddle, make_repository, scene, write_agent

BOXED = '[sandbox]\ntier = "2"\n'
TIERS = [
    pytest.param('[sandbox]\ntier = "0"\n', id="none"),
    pytest.param('[sandbox]\ntier = "1"\n', id="confined"),
    pytest.param(BOXED, id="box", marks=pytest.mark.needs("boxes")),
]


def tool(name: str, **arguments: Any) -> dict[str, Any]:
    return {"do": "tool", "tool": name, "arguments": json.dumps(arguments)}


def said(fleet: Heddle, task: str, session: str) -> str:
    """All that a session wrote to its stream."""
    path = fleet.house.desk.transcript(f"{task}-1-{session}.1")
    assert path is not None
    return path.read_text().replace("\\n", "\n").replace('\\"', '"')


@pytest.mark.parametrize("tier", TIERS)
async def test_a_session_reads_its_task_hands_in_its_plan_and_files_what_it_found(tmp_path: Path, tier: str) -> None:
    files = {"a.py": "x = 1\n", "AGENTS.md": "Use tabs.\n", "lib/AGENTS.md": "No tabs here.\n", ".gitignore": "x\n"}
    repository = make_repository(tmp_path / "repo", files)
    bad, good = "no front matter", PLAN.format(path="b.txt")
    scenes = [
        scene("research", tool("read_task"), tool("read_rules", path="lib/x.py"), tool("submit", document="# Facts\n")),
        scene(
            "plan", tool("submit", document=bad), tool("submit", document=good), tool("check_overlap", paths=["b.txt"])
        ),
        scene(
            "execute",
            tool("read_plan"),
            tool("file_task", text="rename x\nit says nothing", role="refactor", priority=3),
            tool("file_task", text="rename x\nit says nothing", role="refactor", priority=3),
            {"do": "write", "path": "b.txt", "text": "hello\n"},
            tool("submit", document="done\n"),
        ),
    ]
    async with heddle(tmp_path, repository, scenes, tier) as fleet:
        await fleet.start("write b")
        rows = await fleet.until("T1")
        assert rows[0]["status"] == "landed", rows
        found = await fleet.call("task.show", task="T2")
        told = {stage: said(fleet, "T1", f"{stage}-1") for stage in ("research", "plan", "execute")}
        tasks = (await fleet.call("task.list", which="all"))["tasks"]
        handed = (await fleet.call("task.handoff", task="T1"))["text"]
    assert "T1: write b\nstage research, attempt 1" in told["research"]
    assert told["research"].index("lib/AGENTS.md:\nNo tabs here.") < told["research"].index("AGENTS.md:\nUse tabs.")
    assert handed.startswith("T1: write b\nstage land, attempt 1") and handed.endswith("Handoff:\ndone")
    assert "the plan has no front matter" in told["plan"]
    assert "nobody else may write there" in told["plan"]
    assert "approved; may write: b.txt" in told["execute"]
    assert [row["id"] for row in tasks] == ["T1", "T2"]
    assert (found["status"], found["title"], found["priority"]) == ("open", "rename x", 3)
    assert found["links"] == [{"kind": "discovered-from", "task": "T1"}]
    assert git(repository, "show", "main:b.txt") == "hello"


async def race(fleet: Heddle) -> list[dict[str, Any]]:
    """T2 works until T1 has written its note; then both land."""
    await fleet.start("write a", lane="quick", scope=["a.txt"], checks=["test -s a.txt"])
    await fleet.start("write b", lane="quick", scope=["b.txt"], checks=["test -s b.txt"])
    return await fleet.until("T1", "T2")


@pytest.mark.parametrize(("about", "told"), [("b.txt", True), ("c.txt", False)])
async def test_d1_a_note_reaches_a_neighbour_whose_files_it_is_about_and_changes_what_it_does(
    tmp_path: Path, about: str, told: bool
) -> None:
    """The neighbour believed it was done; with a note about other files, which is the control, it stays so."""
    repository = make_repository(tmp_path / "repo")
    waits = f"until [ -e {tmp_path}/noted ]; do sleep 0.02; done"
    heard = [{"do": "write", "path": "b.txt", "text": "mended\n"}, {"do": "document", "text": "mended\n"}]
    scenes = [
        scene("execute", *heard, task="mean of nothing raises"),
        scene(
            "execute",
            {"do": "write", "path": "a.txt", "text": "a\n"},
            tool("write_note", kind="interface-change", text="mean of nothing raises", paths=[about]),
            {"do": "run", "command": f"touch {tmp_path}/noted"},
            {"do": "document", "text": "done\n"},
            task="Task: T1\n",
        ),
        scene(
            "execute",
            {"do": "write", "path": "b.txt", "text": "as planned\n"},
            {"do": "run", "command": waits},
            {"do": "document", "text": "done\n"},
        ),
    ]
    async with heddle(tmp_path, repository, scenes, '[sandbox]\ntier = "0"\n') as fleet:
        rows = await race(fleet)
        book = fleet.house.desk.runs.notebook(rows[0]["repository"])
        assert [row["status"] for row in rows] == ["landed", "landed"]
    assert git(repository, "show", "main:b.txt") == ("mended" if told else "as planned")
    had = [(given.session, given.turn) for given in book.given if given.notes]
    assert had == ([("T2-1-execute-1.1", 1)] if told else [])
    assert book.notes["N1"].task == "T1"


async def test_x1_nobody_comes_to_a_sessions_tools_without_its_token_and_none_after_its_end(tmp_path: Path) -> None:
    repository = make_repository(tmp_path / "repo")
    scenes = [scene("execute", {"do": "write", "path": "b.txt", "text": "x\n"}, {"do": "ask", "text": "which?"})]
    async with heddle(tmp_path, repository, scenes, '[sandbox]\ntier = "0"\n') as fleet:
        await fleet.start("write b", lane="quick", checks=["test -s b.txt"])
        await fleet.until_kind("T1", "question-asked")
        tools = fleet.house.desk.fleet.outside.tools
        opening = await tools.open("T1", "T1-1-execute-1.1")
        other = await tools.open("T1", "T1-1-execute-9.1")

        async def ask(socket: str, token: str) -> tuple[int, str]:
            return await request(Path(socket), token)

        assert (await ask(opening.socket, opening.token))[0] == 200
        for token in ("", "x", other.token):
            assert (await ask(opening.socket, token))[0] == 401, token
        assert "is over" in (await ask(other.socket, other.token))[1]
        await fleet.call("task.stop", task="T1")
        await fleet.until("T1")
        with pytest.raises(OSError):
            await ask(opening.socket, opening.token)


async def request(socket: Path, token: str) -> tuple[int, str]:
    """Status and body of a call of read_task."""
    body = b'{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"read_task","arguments":{}}}'
    head = f"POST /mcp HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer {token}\r\nContent-Length: {len(body)}\r\n"
    head += "Content-Type: application/json\r\nConnection: close\r\nMCP-Protocol-Version: 2025-11-25\r\n\r\n"
    reader, writer = await asyncio.open_unix_connection(socket)
    writer.write(head.encode() + body)
    answer = (await asyncio.wait_for(reader.read(), 30)).decode()
    writer.close()
    return int(answer.split(" ")[1]), answer


async def test_a_persons_note_is_given_with_the_first_message_once_and_can_be_found(tmp_path: Path) -> None:
    repository = make_repository(tmp_path / "repo")
    scenes = [
        scene(
            "execute",
            {"do": "write", "path": "b.txt", "text": "told\n"},
            {"do": "document", "text": "x\n"},
            task="mind the gap",
        ),
        *(scene(stage, {"do": "document", "text": PLAN.format(path="b.txt")}) for stage in ("research", "plan")),
    ]
    async with heddle(tmp_path, repository, scenes, '[sandbox]\ntier = "0"\n') as fleet:
        where = {"root": str(repository)}
        told = await fleet.call("note.add", text="mind the gap\x1b[2J", kind="warning", paths=["b.*"], **where)
        await fleet.call("note.add", text="elsewhere", paths=["docs/**"], **where)
        assert (told["id"], told["text"], told["given"]) == ("N1", "mind the gap[2J", [])
        await fleet.start("write b")
        (row,) = await fleet.until("T1")
        assert row["status"] == "landed", row["why"]
        found = (await fleet.call("note.list", words="GAP warning", **where))["notes"]
        assert [note["id"] for note in (await fleet.call("note.list", paths=["docs/a.md"], **where))["notes"]] == ["N2"]
    sessions = [f"T1-1-{stage}-1.1" for stage in ("execute", "plan", "research")]
    assert [(note["id"], note["given"]) for note in found] == [("N1", sessions)]
    assert git(repository, "show", "main:b.txt") == "told"


async def test_a_note_about_code_that_changed_since_is_given_to_nobody_who_begins_on_the_change(tmp_path: Path) -> None:
    repository = make_repository(tmp_path / "repo")
    written = [
        tool("write_note", kind="discovery", text="b is empty", paths=["b.txt"]),
        tool("write_note", kind="discovery", text="c is empty", paths=["c.txt"]),
        {"do": "write", "path": "b.txt", "text": "not any more\n"},
        {"do": "document", "text": "done\n"},
    ]
    after = [tool("read_notes"), {"do": "write", "path": "d.txt", "text": "x\n"}, {"do": "document", "text": "x\n"}]
    scenes = [scene("execute", *written, task="Task: T1\n"), scene("execute", *after)]
    async with heddle(tmp_path, repository, scenes, '[sandbox]\ntier = "0"\n') as fleet:
        await fleet.start("write b", lane="quick", checks=["true"])
        await fleet.until("T1")
        await fleet.start("write d", lane="quick", checks=["true"])
        (row,) = await fleet.until("T2")
        assert row["status"] == "landed", row["why"]
        given = fleet.house.desk.runs.notebook(row["repository"]).known_to("T2-1-execute-1.1")
        told = said(fleet, "T2", "execute-1")
    assert given == {"N2"}
    assert "c is empty" in told and "b is empty" not in told


@pytest.mark.parametrize("changes", [True, False])
async def test_a_rule_that_changes_on_main_reaches_the_session_that_works(tmp_path: Path, changes: bool) -> None:
    """It believed it was done; without a change, which is the control, it is."""
    repository = make_repository(tmp_path / "repo", {"AGENTS.md": "Use tabs.\n", "a.py": "x = 1\n"})
    waits = f"until [ -e {tmp_path}/ruled ]; do sleep 0.02; done"
    heard = [{"do": "write", "path": "b.txt", "text": "with spaces\n"}, {"do": "document", "text": "mended\n"}]
    scenes = [
        scene("execute", *heard, task=r"\+Use spaces\."),
        scene(
            "execute",
            {"do": "write", "path": "b.txt", "text": "with tabs\n"},
            {"do": "run", "command": waits},
            {"do": "document", "text": "done\n"},
        ),
    ]
    async with heddle(tmp_path, repository, scenes, '[sandbox]\ntier = "0"\n') as fleet:
        await fleet.start("write b", lane="quick", scope=["b.txt"], checks=["test -s b.txt"])
        await fleet.until_kind("T1", "session-started")
        (repository / ("AGENTS.md" if changes else "a.py")).write_text("Use spaces.\n")
        git(repository, "commit", "-qam", "the rules are others now")
        (tmp_path / "ruled").touch()
        (row,) = await fleet.until("T1")
        assert row["status"] == "landed", row["why"]
        await fleet.start("write more", lane="quick", scope=["b.txt"], checks=["true"])
        kinds, told = await fleet.kinds("T1"), (await fleet.call("task.show", task="T1"))["timeline"]
    assert git(repository, "show", "main:b.txt") == ("with spaces" if changes else "with tabs")
    assert kinds.count("rules-given") == int(changes)
    assert any("told how the rules changed" in line["text"] for line in told) == changes


BY_STDIO = """
import json, subprocess
from heddle.rehearsal import tools

obey, servers = acp.Server._obey, []

def noticed(self, id, method, params):
    servers.extend(params.get("mcpServers", ()))
    obey(self, id, method, params)

def call(name, arguments):
    (server,) = servers
    about = {"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "a", "version": "1"}}
    asked = [("initialize", about), ("tools/call", {"name": name, "arguments": arguments})]
    program = subprocess.Popen(
        [server["command"], *server["args"]], env={}, text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    for number, (method, params) in enumerate(asked):
        print(json.dumps({"jsonrpc": "2.0", "id": number, "method": method, "params": params}), file=program.stdin, flush=True)
        answer = json.loads(program.stdout.readline())
    program.stdin.close()
    assert program.wait() == 0
    return answer["result"]["content"][0]["text"], not answer["result"]["isError"]

acp.Server._obey, tools.call = noticed, call
"""
"""An agent that starts the servers which it is told of, bare of its own environment, and speaks to them."""


@pytest.mark.parametrize("tier", TIERS)
async def test_an_agent_that_knows_servers_on_standard_streams_alone_has_its_tools_too(
    tmp_path: Path, tier: str
) -> None:
    repository = make_repository(tmp_path / "repo")
    write_agent(tmp_path, "bare", BY_STDIO)
    with (tmp_path / "agents" / "bare.toml").open("a") as file:
        file.write("mcp = true\n")
    steps = [
        tool("read_task"),
        {"do": "write", "path": "b.txt", "text": "b\n"},
        tool("submit", document="handed in by its tool\n"),
    ]
    async with heddle(tmp_path, repository, [scene("execute", *steps)], tier) as fleet:
        await fleet.start("write b", agent="bare", lane="quick", checks=["test -s b.txt"])
        (row,) = await fleet.until("T1")
        assert row["status"] == "landed", row["why"]
        assert "T1: write b\nstage execute, attempt 1" in said(fleet, "T1", "execute-1")
        assert (await fleet.call("task.show", task="T1"))["result"]["handoff"] == "handed in by its tool\n"
