"""Whole runs in boxes: what the sandbox promises, seen from a task that somebody started."""

import asyncio
import os
import shlex
from pathlib import Path

import pytest

from heddle.adapters.sandbox import headroom, machine, zygote
from heddle.core.errors import SetupError
from heddle.engine import fleet as fleet_module
from support.fleet import git, heddle, make_repository, scene, write_agent, writes

NO_NAMESPACES = """
import sys
sys.path.append(sys.argv[2])
from heddle.holder.box import kernel
def refuse(flags):
    raise PermissionError(1, "Operation not permitted")
kernel.unshare = refuse
"""
"""A machine that keeps namespaces from ordinary programs."""


@pytest.fixture
def no_namespaces(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(zygote, "ENTRY", NO_NAMESPACES + zygote.ENTRY)
    monkeypatch.setattr(machine, "PROBE", NO_NAMESPACES.replace("argv[2]", "argv[1]") + machine.PROBE)


@pytest.mark.usefixtures("no_namespaces")
@pytest.mark.parametrize("config", ['[sandbox]\ntier = "2"\n', '[workspace]\nprovider = "instant"\n'])
async def test_d2_a_sandbox_that_was_asked_for_and_cannot_be_had_starts_nothing(tmp_path: Path, config: str) -> None:
    repository = make_repository(tmp_path / "repo")
    async with heddle(tmp_path, repository, writes("b.txt"), config) as fleet:
        id = await fleet.start("write b")
        async with asyncio.timeout(40):  # no fact tells that it waits; who waits for it is told all the same
            rows = (await fleet.call("task.wait", tasks=[id], seconds=60.0))["tasks"]
        assert rows[0]["status"] == "waiting"
        assert "no sandbox for" in rows[0]["why"]
        assert "heddle doctor" in rows[0]["why"]
        assert "session-started" not in await fleet.kinds(id)
    assert not list((Path(os.environ["HEDDLE_HOME"]) / "holders").glob("T*/started.json"))


@pytest.mark.usefixtures("no_namespaces")
async def test_a_machine_without_namespaces_works_in_a_lesser_tier_and_says_so(tmp_path: Path) -> None:
    repository = make_repository(tmp_path / "repo")
    async with heddle(tmp_path, repository, writes("b.txt"), '[sandbox]\ntier = "auto"\n') as fleet:
        id = await fleet.start("write b")
        rows = await fleet.until(id)
        tier = (await fleet.call("board"))["tier"]
        assert (rows[0]["status"], rows[0]["tier"]) == ("landed", tier)
        assert tier < 2
        findings = {one["what"]: one for one in (await fleet.call("doctor"))["findings"]}
        assert findings["git"]["detail"].startswith("git version 2.")
        assert not findings["box"]["ok"]
        assert "Operation not permitted" in findings["box"]["detail"]
        assert findings["workspaces"]["detail"].startswith("clone: ")
    assert made_by("clones") and not made_by("instant", "workspaces")


def made_by(*folders: str) -> bool:
    """Whether providers whose workspaces lie there ever made one: what they held is in the trash by now."""
    home = Path(os.environ["HEDDLE_HOME"])
    trash = ("trash" if folder == "workspaces" else f"{folder}-trash" for folder in folders)
    return any(any((home / name).glob("*/*")) for name in trash)


SAYS = 'pwd > where.txt; (git config core.hooksPath "$PWD/own" && echo set || echo kept) >> where.txt 2>/dev/null'


@pytest.mark.parametrize(
    ("config", "folder", "tier", "said"),
    [
        ('[workspace]\nprovider = "worktree"\n', "workspaces", 0, "set"),
        ('[workspace]\nprovider = "clone"\n[sandbox]\ntier = "0"\n', "clones", 0, "set"),
        ('[workspace]\nprovider = "clone"\n', "clones", 2, "kept"),
        ('[sandbox]\ntier = "0"\n', "clones", 0, "set"),
        ("", "instant", 2, "kept"),
        ('[sandbox]\ntier = "3"\n', "instant", 3, "kept"),
        ('[workspace]\nprovider = "instant"\n[sandbox]\ntier = "3"\n', "instant", 3, "kept"),
        ('[workspace]\nprovider = "clone"\n[sandbox]\ntier = "3"\n', "clones", 3, "kept"),
    ],
)
async def test_workspaces_are_made_as_the_person_chose(
    tmp_path: Path, config: str, folder: str, tier: int, said: str
) -> None:
    repository = make_repository(tmp_path / "repo")
    scenes = writes("where.txt")
    scenes[2]["steps"] = [{"do": "run", "command": SAYS}, {"do": "document", "text": "done\n"}]
    async with heddle(tmp_path, repository, scenes, config) as fleet:
        id = await fleet.start("say where")
        rows = await fleet.until(id)
        assert (rows[0]["status"], rows[0]["tier"]) == ("landed", tier), rows[0]["why"]
        findings = {one["what"]: one for one in (await fleet.call("doctor"))["findings"]}
        assert findings["workspaces"]["detail"].startswith({"workspaces": "worktree"}.get(folder, folder.rstrip("s")))
    assert made_by(folder) and not made_by(*{"workspaces", "clones", "instant"} - {folder})
    where, told = (repository / "where.txt").read_text().split()
    inside = str(repository) if folder == "instant" else f"{os.environ['HEDDLE_HOME']}/{folder}/"
    assert where.startswith(inside)
    assert told == said
    assert bool(git(repository, "config", "--default", "", "core.hooksPath")) == (folder == "workspaces")


@pytest.mark.parametrize(
    ("config", "slug"),
    [
        ('[workspace]\nprovider = "jail"\n', "config-wrong-type"),
        ('[workspace]\nprovider = "instant"\n[sandbox]\ntier = "0"\n', "config-contradiction"),
        ('[workspace]\nprovider = "worktree"\n[sandbox]\ntier = "2"\n', "config-contradiction"),
        ('[workspace]\nprovider = "worktree"\n[sandbox]\ntier = "3"\n', "config-contradiction"),
    ],
)
async def test_what_cannot_be_had_together_is_told_at_once(tmp_path: Path, config: str, slug: str) -> None:
    repository = make_repository(tmp_path / "repo")
    with pytest.raises(SetupError) as caught:
        async with heddle(tmp_path, repository, writes("b.txt"), config):
            pass
    assert caught.value.slug == slug
    assert "workspace.provider" in caught.value.hint


async def test_a_repository_chooses_no_provider(tmp_path: Path) -> None:
    repository = make_repository(tmp_path / "repo", {"heddle.toml": '[workspace]\nprovider = "worktree"\n'})
    async with heddle(tmp_path, repository) as fleet:
        asked = await fleet.call("config.explain", root=str(repository), key="workspace.provider")
        (told,) = asked["values"]
        assert (told["value"], told["source"]) == ("auto", "defaults.toml")
        findings = {one["what"]: one for one in (await fleet.call("doctor"))["findings"]}
        assert findings["workspaces"]["detail"].startswith("instant: ")


async def test_a_change_of_provider_strands_no_session(tmp_path: Path) -> None:
    repository = make_repository(tmp_path / "repo")
    scenes = writes("b.txt")
    scenes[2]["steps"].insert(0, {"do": "ask", "text": "go on?", "options": ["yes"], "default": "yes"})
    async with heddle(tmp_path, repository, scenes, '[workspace]\nprovider = "worktree"\n', leave=True) as fleet:
        id = await fleet.start("write b")
        await fleet.until_kind(id, "plan-delivered")
        await fleet.call("inbox.approve", task=id)
        await fleet.until_kind(id, "question-asked")
    async with heddle(tmp_path, repository, scenes, '[workspace]\nprovider = "clone"\n') as fleet:
        rows = await fleet.until(id)
        assert rows[0]["status"] == "landed", rows[0]["why"]
        assert (await fleet.kinds(id)).count("session-started") == 3
    assert made_by("workspaces") and made_by("clones")


ROGUE = "player.Player._denied = lambda self, call, title, paths=None: False"
"""An agent that does what it likes, whatever mode it was put into."""


@pytest.mark.needs("boxes")
async def test_p2_nothing_that_research_or_plan_write_is_there_afterwards(tmp_path: Path) -> None:
    repository = make_repository(tmp_path / "repo")
    write_agent(tmp_path, "rogue", ROGUE)
    line = f"echo bad > a.py; echo bad > '{repository}/new.txt'; echo bad >> '{repository}/.git/description'"
    line += "; git add -A; git -c user.name=x -c user.email=x@y commit -qm early; git update-ref refs/heads/main HEAD"
    early = {"do": "run", "command": line}
    scenes = writes("b.txt")
    for one in scenes[:2]:
        one["steps"].insert(0, early)
    scenes[2]["steps"].insert(0, {"do": "run", "command": "test ! -e new.txt && grep -q 'x = 1' a.py"})
    before = git(repository, "rev-parse", "main")
    async with heddle(tmp_path, repository, scenes) as fleet:
        id = await fleet.start("write b", agent="rogue")
        await fleet.until_kind(id, "plan-delivered")
        assert git(repository, "rev-parse", "main") == before
        assert git(repository, "status", "--porcelain") == ""
        rows = await fleet.until(id)
        assert rows[0]["status"] == "landed", rows[0]["why"]
        assert (await fleet.kinds(id)).count("writes-discarded") == 2
    assert git(repository, "diff", "--name-only", before, "main") == "b.txt"
    assert (repository / "a.py").read_text() == "x = 1\n"
    assert "bad" not in (repository / ".git/description").read_text()


SERVE = """
import http.server, os, pathlib
handler = http.server.SimpleHTTPRequestHandler
handler.log_message = lambda *_: None
pathlib.Path("/tmp/database").mkdir()
pathlib.Path("/tmp/database/name").write_text("{name}")
os.chdir("/tmp/database")
server = http.server.ThreadingHTTPServer(("127.0.0.1", 3000), handler)
if os.fork() == 0:
    server.serve_forever()
"""
ASK = "import sys, urllib.request; sys.stdout.buffer.write(urllib.request.urlopen('http://127.0.0.1:3000/name').read())"


@pytest.mark.needs("boxes")
async def test_x4_two_sessions_use_one_port_and_one_temporary_file_at_once(tmp_path: Path) -> None:
    repository = make_repository(tmp_path / "repo")
    scenes = []
    for name in ("one", "two"):
        three = writes(f"{name}.txt", task=f"write {name}")
        three[2]["steps"] = [
            {"do": "run", "command": f"python3 -c {shlex.quote(SERVE.format(name=name))} >/dev/null 2>&1"},
            {"do": "ask", "text": "go on?", "options": ["yes"], "default": "yes"},
            {"do": "run", "command": f"python3 -c {shlex.quote(ASK)} >{name}.txt"},
            {"do": "document", "text": "done\n"},
        ]
        scenes += three
    async with heddle(tmp_path, repository, scenes) as fleet:
        ids = [await fleet.start("write one"), await fleet.start("write two")]
        for id in ids:
            await fleet.until_kind(id, "plan-delivered")
            await fleet.call("inbox.approve", task=id)
        for id in ids:
            await fleet.until_kind(id, "question-asked")  # both serve on the same port now
        rows = await fleet.until(*ids)
        assert [row["status"] for row in rows] == ["landed", "landed"], rows
    assert [(repository / f"{name}.txt").read_text() for name in ("one", "two")] == ["one", "two"]


async def test_x4_without_boxes_ports_and_names_are_leased(tmp_path: Path) -> None:
    repository = make_repository(tmp_path / "repo")
    scenes = []
    for name in ("one", "two"):
        three = writes(f"{name}.txt", task=f"write {name}")
        told = '"$PORT $HEDDLE_PORTS $COMPOSE_PROJECT_NAME $HEDDLE_SUFFIX $TMPDIR"'
        three[2]["steps"] = [
            {"do": "run", "command": f"echo {told} >{name}.txt"},
            {"do": "ask", "text": "go on?", "options": ["yes"], "default": "yes"},
            {"do": "document", "text": "done\n"},
        ]
        scenes += three
    async with heddle(tmp_path, repository, scenes, '[sandbox]\ntier = "0"\n') as fleet:
        ids = [await fleet.start("write one"), await fleet.start("write two")]
        rows = await fleet.until(*ids)
        assert [row["status"] for row in rows] == ["landed", "landed"], rows
    one, two = ((repository / f"{name}.txt").read_text().split() for name in ("one", "two"))
    assert len(one) == len(two) == 5
    assert not set(one) & set(two)


async def test_x4_validations_run_in_no_greater_number_than_allowed(tmp_path: Path) -> None:
    repository = make_repository(tmp_path / "repo")
    names = ("one", "two", "three")
    scenes = [one for name in names for one in writes(f"{name}.txt", task=f"write {name}")]
    async with heddle(tmp_path, repository, scenes, "[limits]\nvalidations = 1\n") as fleet:
        ids = [await fleet.start(f"write {name}") for name in names]
        rows = await fleet.until(*ids)
        assert [row["status"] for row in rows] == ["landed"] * 3, rows
        under_way: set[str] = set()
        for event in (await fleet.call("events", limit=10_000))["events"]:
            if event["kind"] == "stage-started" and event["data"]["stage"] == "validate":
                under_way.add(event["stream"])
            elif event["kind"] in ("verdict-reached", "stage-failed", "plan-outdated", "main-moved"):
                under_way.discard(event["stream"])
            assert len(under_way) <= 1, under_way


async def test_x3_ten_launches_against_room_for_three_start_three(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    repository = make_repository(tmp_path / "repo")
    asks = scene("research", {"do": "ask", "text": "Which?", "options": ["x"], "default": "x"})
    monkeypatch.setattr(headroom, "memory_mb_available", lambda: 512 + 3 * 40)
    async with heddle(tmp_path, repository, [asks], "[limits]\nsessions = 10\n") as fleet:
        ids = [await fleet.start(f"task {number}") for number in range(10)]
        for id in ids[:3]:
            await fleet.until_kind(id, "question-asked")
        rows = (await fleet.call("board"))["tasks"]
        assert sum("memory for it is missing" in row["why"] for row in rows) == 7
        started = [id for id in ids if "session-started" in await fleet.kinds(id)]
        assert started == ids[:3]
        monkeypatch.setattr(headroom, "memory_mb_available", lambda: 64_000)
        await fleet.call("inbox.answer", task=ids[0])  # any fact brings the next look
        await fleet.until_kind(ids[9], "question-asked")


async def test_x3_a_disk_without_room_starts_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    repository = make_repository(tmp_path / "repo")
    monkeypatch.setattr(fleet_module, "RETRY_S", 0.2)
    monkeypatch.setattr(headroom, "disk_mb", lambda folder: 1000)
    async with heddle(tmp_path, repository, writes("b.txt")) as fleet:
        id = await fleet.start("write b")
        async with asyncio.timeout(20):
            while "1000 MB left" not in (await fleet.call("board"))["tasks"][0]["why"]:
                assert "session-started" not in await fleet.kinds(id)
                await asyncio.sleep(0.02)
        assert "session-started" not in await fleet.kinds(id)
        monkeypatch.setattr(headroom, "disk_mb", lambda folder: 5000)
        assert (await fleet.until(id))[0]["status"] == "landed"


@pytest.mark.needs("boxes")
async def test_m6_commit_hooks_judge_what_would_land_and_only_in_a_box(tmp_path: Path) -> None:
    repository = make_repository(tmp_path / "repo")
    outside = tmp_path / "ran-as-the-person"
    judge = f"touch '{outside}' 2>/dev/null; git diff --cached --name-only | grep -qx b.txt || exit 1\n"
    judge += "if grep -q bad b.txt; then echo 'b.txt is bad' >&2; exit 1; fi\n"
    for name, text in (("pre-commit", judge), ("commit-msg", 'sed -i "1s/^/ABC-1 /" "$1"\n')):
        (repository / ".git/hooks").mkdir(exist_ok=True)
        (repository / ".git/hooks" / name).write_text(f"#!/bin/sh\n{text}")
        (repository / ".git/hooks" / name).chmod(0o755)
    bad = scene("execute", {"do": "write", "path": "b.txt", "text": "bad\n"}, {"do": "document", "text": "d\n"})
    good = {**writes("b.txt")[2], "attempt": 2}
    async with heddle(tmp_path, repository, [good, bad, *writes("b.txt")[:2]]) as fleet:
        id = await fleet.start("write b")
        rows = await fleet.until(id)
        assert rows[0]["status"] == "landed", rows[0]["why"]
        events = (await fleet.call("events", task=id))["events"]
        verdicts = [event["data"]["verdict"] for event in events if event["kind"] == "verdict-reached"]
        assert [verdict["colour"] for verdict in verdicts] == ["red", "green"]
        assert "b.txt is bad" in verdicts[0]["reason"]
        assert verdicts[1]["results"][0]["command"] == "(commit hooks)"
    landed = git(repository, "log", "-1", "--format=%B").splitlines()
    assert landed[0] == "ABC-1 write b"
    assert f"Heddle-Task: {id}" in landed
    assert not outside.exists()


async def test_m6_without_a_box_no_commit_hook_runs(tmp_path: Path) -> None:
    repository = make_repository(tmp_path / "repo")
    (repository / ".git/hooks").mkdir(exist_ok=True)
    (repository / ".git/hooks/pre-commit").write_text("#!/bin/sh\nexit 1\n")
    (repository / ".git/hooks/pre-commit").chmod(0o755)
    async with heddle(tmp_path, repository, writes("b.txt"), '[sandbox]\ntier = "0"\n') as fleet:
        id = await fleet.start("write b")
        assert (await fleet.until(id))[0]["status"] == "landed"
