"""Real agents use the tools that Heddle serves them, from inside the tier that this machine gives."""

import asyncio
import json
import time
from pathlib import Path
from typing import Any

import pytest

import gemini_cli
from heddle.api import session_words
from modelserver import ModelServer, Served, Turn, When, Write
from support import claude_brand, codex_brand, opencode_brand
from support.fleet import git, heddle, make_repository

pytestmark = pytest.mark.timeout(300)
AGENTS = [pytest.param(name, marks=pytest.mark.needs(name)) for name in ("claude", "codex", "opencode", "gemini")]
BRANDS = {"claude": claude_brand, "codex": codex_brand, "opencode": opencode_brand, "gemini": gemini_cli}


def reached(server: ModelServer) -> dict[str, str]:
    """How each agent finds the model."""
    claude = {"ANTHROPIC_BASE_URL": server.url, "ANTHROPIC_API_KEY": "test"}
    codex = {"OPENAI_BASE_URL": f"{server.url}/v1", "CODEX_API_KEY": "test"}
    return (
        claude
        | codex
        | gemini_cli.environment(server.url)
        | {"LOCAL_ENDPOINT": f"{server.url}/v1", "LOCAL_MODEL": "mine/coder"}
    )


def quick(path: str) -> dict[str, Any]:
    return {"lane": "quick", "scope": [path], "checks": [f"test -s {path}"]}


@pytest.mark.parametrize("agent", AGENTS)
async def test_an_agent_reads_its_task_files_another_and_hands_in_by_its_tools(
    tmp_path: Path, model_server: ModelServer, agent: str
) -> None:
    repository = make_repository(tmp_path / "repo")
    model_server.play(
        When("task", stage="execute"),
        Turn("", [Served("read_task")]),
        Turn("", [Served("file_task", {"text": "rename x", "role": "refactor"})]),
        Turn("", [Write("b.txt", "hello\n")]),
        Turn("", [Served("submit", {"document": "Wrote b.txt, as the tools say.\n"})]),
        Turn("Done."),
    )
    BRANDS[agent].write_brand(tmp_path)
    async with heddle(tmp_path, repository, **reached(model_server)) as fleet:
        id = await fleet.start("write b [[scn:task]]", agent=agent, **quick("b.txt"))
        (row,) = await fleet.until(id, limit_s=150)
        assert row["status"] == "landed", row["why"]
        shown = await fleet.call("task.show", task=id)
        filed = await fleet.call("task.show", task="T2")
        path = fleet.house.desk.transcript("T1-1-execute-1.1")
        told = path.read_text() if path else ""
        if agent != "opencode":  # whose events come by a stream that may be joined anew, and then lacks some
            assert "stage execute, attempt 1; lane quick" in told
    assert shown["result"]["handoff"] == "Wrote b.txt, as the tools say.\n"
    assert (filed["title"], filed["role"], filed["links"][0]["task"]) == ("rename x", "refactor", "T1")
    assert {call.outcome for call in model_server.calls()} == {"answered"}


@pytest.mark.parametrize("agent", AGENTS[:1])
async def test_an_agent_that_audits_may_file_what_it_finds_and_writes_nothing(
    tmp_path: Path, model_server: ModelServer, agent: str
) -> None:
    repository = make_repository(tmp_path / "repo")
    model_server.play(
        When("audit", stage="research"),
        Turn("", [Write("a.py", "mended\n")]),
        Turn("", [Served("file_task", {"text": "a.py trusts x", "role": "bugfix", "evidence": ["a.py:1"]})]),
        Turn("", [Served("submit", {"document": "One finding, at a.py:1.\n"})]),
        Turn("Done."),
    )
    BRANDS[agent].write_brand(tmp_path)
    async with heddle(tmp_path, repository, **reached(model_server)) as fleet:
        id = await fleet.start("who can get in? [[scn:audit]]", agent=agent, role="security")
        (row,) = await fleet.until(id, limit_s=150)
        shown = await fleet.call("task.show", task=id)
        assert (row["status"], shown["report"]) == ("closed", "One finding, at a.py:1.\n"), row["why"]
        (filed,) = shown["filed"]
        assert "Evidence, on" in (await fleet.call("task.show", task=filed))["text"]
    assert git(repository, "status", "--porcelain") == "" and (repository / "a.py").read_text() == "x = 1\n"


@pytest.mark.needs("claude")
@pytest.mark.parametrize("noted", [True, False])
async def test_a_note_of_one_claude_changes_what_another_one_does(
    tmp_path: Path, model_server: ModelServer, noted: bool
) -> None:
    """The model mends its work when the note is in its request; without one it has no reason to."""
    repository, note = make_repository(tmp_path / "repo"), "mean() of nothing raises now"
    says = [Served("write_note", {"kind": "interface-change", "text": note, "paths": ["b.txt"]})] if noted else []
    model_server.play(
        When("one", stage="execute"),
        Turn("", [Write("a.txt", "a\n")]),
        Turn("", [*says, Write("{out}/handoff.md", "done\n")]),
        Turn("Done."),
    )
    model_server.play(
        When("two", stage="execute"),
        Turn("", [Write("b.txt", "as planned\n")]),
        Turn("", [Write("{out}/handoff.md", "done\n")]),
        Turn("Done.", gate="the-note-is-written"),
    )
    model_server.play(
        When(stage="execute", patterns=("left notes", "mean\\(\\) of nothing raises now")),
        Turn("", [Write("b.txt", "mended\n")]),
        Turn("Mended."),
    )
    claude_brand.write_brand(tmp_path)
    async with heddle(tmp_path, repository, **reached(model_server)) as fleet:
        two = await fleet.start("write b [[scn:two]]", agent="claude", **quick("b.txt"))
        await asyncio.to_thread(model_server.wait_at, "the-note-is-written", 1, 100.0)
        one = await fleet.start("write a [[scn:one]]", agent="claude", **quick("a.txt"))
        assert (await fleet.until(one, limit_s=100))[0]["status"] == "landed"
        model_server.open("the-note-is-written")
        (row,) = await fleet.until(two, limit_s=100)
        assert row["status"] == "landed", row["why"]
    assert git(repository, "show", "main:b.txt") == ("mended" if noted else "as planned")
    assert json.dumps(note) and sum(note in call.prompt for call in model_server.calls()) == (2 if noted else 0)


@pytest.mark.needs("claude")
async def test_c1_eight_sessions_of_real_claude_claim_the_same_files_and_no_file_has_two(
    tmp_path: Path, model_server: ModelServer
) -> None:
    """Two for each file, all at once; all file the same task besides, which each of them does for itself."""
    repository = make_repository(tmp_path / "repo")
    for n in range(8):
        model_server.play(
            When(f"s{n}", stage="execute"),
            Turn("", [Served("claim_paths", {"paths": [f"shared-{n // 2}.txt"]})]),
            Turn(
                "", [Write(f"own-{n}.txt", "x\n"), Served("file_task", {"text": f"follow {n} up"})], gate="all-claimed"
            ),
            Turn("", [Write("{out}/handoff.md", "done\n")]),
            Turn("Done."),
        )
    claude_brand.write_brand(tmp_path)
    async with heddle(tmp_path, repository, None, "[limits]\nsessions = 8\n", **reached(model_server)) as fleet:
        ids = [await fleet.start(f"do {n} [[scn:s{n}]]", agent="claude", **quick(f"own-{n}.txt")) for n in range(8)]
        try:
            await asyncio.to_thread(model_server.wait_at, "all-claimed", 8, 30.0)
        except TimeoutError:
            print([(r["id"], r["status"], r["why"]) for r in (await fleet.call("board"))["tasks"]])
            raise AssertionError from None
        key = fleet.house.desk.runs.require(ids[0]).task.repository
        claims = fleet.house.desk.runs.path_claims(key, time.time())
        model_server.open("all-claimed")
        rows = await fleet.until(*ids, limit_s=200)
        assert {row["status"] for row in rows} == {"landed"}, [row["why"] for row in rows]
        assert fleet.house.desk.runs.path_claims(key, time.time()) == ()  # they end with the work
        filed = (await fleet.call("task.list", which="ready"))["tasks"]
    assert sorted(claim.paths for claim in claims) == [(f"shared-{n}.txt",) for n in range(4)]
    assert len({claim.task for claim in claims}) == 4
    found_in = sorted(link["task"] for row in filed for link in row["links"])
    assert (len(filed), found_in) == (8, sorted(ids))


@pytest.mark.needs("gemini")
async def test_an_agent_that_cannot_ask_by_itself_asks_by_its_tool_and_goes_on_when_it_is_answered(
    tmp_path: Path, model_server: ModelServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It ends its turn without an answer, is parked, and works on with it in the same conversation."""
    repository = make_repository(tmp_path / "repo")
    monkeypatch.setattr(session_words, "PATIENCE_S", 0.2)
    model_server.play(
        When("asks", stage="execute"),
        Turn("", [Served("ask", {"question": "Which word?", "options": ["x", "y"]})]),
        Turn("I wait for the answer."),
    )
    model_server.play(
        When(stage="execute", patterns=("The answer, as data:\n```\ny\n```",)),
        Turn("", [Write("b.txt", "y\n")]),
        Turn("", [Served("submit", {"document": "Wrote what was answered.\n"})]),
        Turn("Done."),
    )
    gemini_cli.write_brand(tmp_path)
    limits = "[limits]\npark_s = 1\n"
    async with heddle(tmp_path, repository, None, limits, **gemini_cli.environment(model_server.url)) as fleet:
        id = await fleet.start("write b [[scn:asks]]", agent="gemini", model="gemini-2.5-pro", **quick("b.txt"))
        await fleet.until_kind(id, "session-parked", limit_s=100)
        await fleet.call("inbox.answer", task=id, text="y")
        (row,) = await fleet.until(id, limit_s=100)
        assert row["status"] == "landed", row["why"]
    assert git(repository, "show", "main:b.txt") == "y"
    assert "The answer, as data:\n```\ny\n```" in model_server.calls()[2].prompt
