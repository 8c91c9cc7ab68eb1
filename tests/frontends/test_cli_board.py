"""What people see: the board, the inbox, and outside text that may not steer a terminal."""

import json
import os
import pty
import subprocess
import sys

import pytest
from inline_snapshot import snapshot

from support.command_line import board, heddle, item, row
from support.stand_in import StandIn

HOSTILE = "\x1b]0;owned\x07\x1b[2J evil \u202egnp.exe \u200b\x9b31m\r\nsecond\u2028line"
PLANNED = row("T12", title="tidy the docs", status="waiting", stage="plan", why="the plan is ready")
MENDED = row("T3", title="fix the parser", status="landed", stage="land", why="landed as 0123456789ab")
MENDED |= {"changed": "3 files +10 -2", "flags": ["edited-tests"], "attempt": 2}


def test_the_board_shows_every_task_in_columns_and_says_what_encloses_agents(daemon: StandIn) -> None:
    daemon.answers["board"] = board(row(), PLANNED, MENDED, inbox=1)
    ended = heddle("status")
    assert ended.status == 0
    assert ended.out == snapshot("""\
ID   STATUS     STAGE    TASK               WHY                                    CHANGED
T7   ● running  execute  add rate limiting  execute, attempt 1
T12  ! waiting  plan     tidy the docs      the plan is ready
T3   ✓ landed   land 2   fix the parser     [edited-tests] landed as 0123456789ab  3 files +10 -2
""")
    assert ended.err == snapshot("""\
sandbox: tier 0 (none): isolated by workspace only; agents can read and write what you can; see: heddle doctor
1 to settle: heddle inbox
""")


def test_the_board_says_what_is_in_trouble_and_what_could_not_be_read(daemon: StandIn) -> None:
    kept = {"what": "event 17", "why": "unknown kind 'x\x1b[1m'"}
    daemon.answers["board"] = board(row(), trouble="no room on the disk", set_aside=[kept])
    assert heddle("status").err == snapshot("""\
unreadable: event 17: unknown kind 'x\\x1b[1m'
trouble: no room on the disk
sandbox: tier 0 (none): isolated by workspace only; agents can read and write what you can; see: heddle doctor
""")


@pytest.mark.parametrize(
    ("tier", "lacks", "said"),
    [
        (2, "", ""),
        (3, "", ""),
        (
            3,
            "memory is not bounded: limits.session_memory_mb is 0",
            "sandbox: tier 3 (strong): a box, system calls by a list, no way out but to the agent's own hosts; "
            "memory is not bounded: limits.session_memory_mb is 0\n",
        ),
    ],
)
def test_the_board_says_what_a_tier_lacks_here(daemon: StandIn, tier: int, lacks: str, said: str) -> None:
    daemon.answers["board"] = board(row(), tier=tier, lacks=lacks)
    assert heddle("status").err == said


def test_heddle_alone_shows_the_board_and_the_next_commands(daemon: StandIn) -> None:
    daemon.answers["board"] = board()
    ended = heddle()
    assert ended.status == 0
    assert ended.out + ended.err == snapshot("""\
no tasks; begin with: heddle start "..."
sandbox: tier 0 (none): isolated by workspace only; agents can read and write what you can; see: heddle doctor
next: heddle start "..." · heddle inbox · heddle watch
""")


@pytest.mark.parametrize("width", [40, 60, 80, 100, 140])
def test_no_line_of_the_board_is_wider_than_the_terminal(daemon: StandIn, width: int) -> None:
    wide = row("T8", title="数据库迁移" * 8, why="原因" * 40, changed="12 files +1200 -300")
    daemon.answers["board"] = board(row(), wide, MENDED)
    lines = heddle("status", COLUMNS=str(width)).out.splitlines()
    cells = [sum(2 if ord(char) > 0x2E80 else 1 for char in line) for line in lines]
    assert max(cells) <= max(width, 64)


def test_a_short_reason_leaves_its_room_to_the_title(daemon: StandIn) -> None:
    title = "a title of more than fifty characters that is to be seen whole"
    daemon.answers["board"] = board(row(title=title, why="short"))
    assert title in heddle("status").out


def test_status_all_asks_for_finished_tasks_too(daemon: StandIn) -> None:
    daemon.answers["board"] = board()
    heddle("status")
    heddle("status", "--all")
    heddle("status", "--all", "--json")
    assert [asked["all"] for asked in daemon.calls("board")] == [False, True, True]


def test_status_as_json_is_the_answer_of_the_daemon_untouched(daemon: StandIn) -> None:
    daemon.answers["board"] = board(row(title=HOSTILE))
    for words in (("status", "--json"), ("--json", "status"), ("status", "--json", "--repo", "/")):
        ended = heddle(*words)
        assert (ended.status, ended.err) == (0, "")
        assert json.loads(ended.out) == daemon.answers["board"]


def test_a_repository_can_be_named_before_the_command_and_after_it(daemon: StandIn, tmp_path: object) -> None:
    daemon.answers["board"] = board()
    heddle("--repo", str(tmp_path), "status")
    heddle("status", f"--repo={tmp_path}")
    assert [asked["root"] for asked in daemon.calls("board")] == [str(tmp_path)] * 2


def test_the_inbox_shows_items_with_the_commands_that_settle_them(daemon: StandIn) -> None:
    question = item("T9", kind="question", title="tidy the docs", text="per user or\nper key?", digest="q1")
    question |= {"options": ["user", "key"], "default": "user", "act": ['heddle answer T9 "..."']}
    frozen = item(
        "T10", kind="frozen", title="build it", text="wrote 12 GB in 9 files; the limit is 10 GB", digest="q2"
    )
    frozen |= {"options": ["go on", "stop"], "act": ['heddle answer T10 "go on"', 'heddle answer T10 "stop"']}
    daemon.answers["inbox"] = {"schema": "heddle.inbox/1", "items": [item(), question, frozen]}
    ended = heddle("inbox")
    assert (ended.status, ended.err) == (0, "")
    assert ended.out == snapshot("""\
T7  gate-plan: add rate limiting
    the plan is ready
    digest: 03ddd03ccedc176b
      heddle plan show T7
      heddle approve T7
      heddle reject T7 --reason "..."
T9  question: tidy the docs
    per user or
    per key?
    options: user, key
    default: user
    question: q1
      heddle answer T9 "..."
T10  frozen: build it
    wrote 12 GB in 9 files; the limit is 10 GB
    options: go on, stop
    question: q2
      heddle answer T10 "go on"
      heddle answer T10 "stop"
""")


def test_an_empty_inbox_says_so(daemon: StandIn) -> None:
    daemon.answers["inbox"] = {"schema": "heddle.inbox/1", "items": []}
    assert heddle("inbox").out == "nothing needs you\n"


def steers(text: str) -> list[str]:
    return [char for char in text if char != "\n" and not char.isprintable()]


def test_outside_text_never_steers_a_terminal(daemon: StandIn) -> None:
    line = {"at": 0.0, "text": HOSTILE, "by": HOSTILE}
    told = row(title=HOSTILE, why=HOSTILE, flags=[HOSTILE]) | {"text": HOSTILE, "timeline": [line]}
    why = {"task": "T7", "status": "waiting", "reason": HOSTILE, "who": "person", "act": [HOSTILE]}
    sign = {"reason": "drift", "points": 10, "text": HOSTILE, "reaction": "refresh", "means": "told"}
    why |= {"evidence": HOSTILE, "timeline": [line], "claims": [HOSTILE]}
    why |= {"rot": {"score": 10, "signs": [sign], "unknown": [HOSTILE]}}
    plan = {"document": HOSTILE, "digest": "d", "base": "b", "approved_by": HOSTILE, "fresh_checks": [HOSTILE]}
    daemon.answers |= {
        "board": board(told, trouble=HOSTILE, set_aside=[{"what": HOSTILE, "why": HOSTILE}]),
        "inbox": {"items": [item(title=HOSTILE, text=HOSTILE, options=[HOSTILE], default=HOSTILE)]},
        "task.show": told,
        "task.why": why,
        "task.start": told,
        "plan.show": plan,
        "session.tail": {"text": HOSTILE},
        "doctor": {"findings": [{"what": HOSTILE, "ok": False, "detail": HOSTILE}]},
        "config.explain": {"values": [{"key": "a.b", "value": HOSTILE, "source": HOSTILE}]},
        "task.stop": {"error": {"kind": "user", "slug": "x", "message": HOSTILE, "hint": HOSTILE, "facts": {}}},
    }
    commands = "status|inbox|task show T7|why T7|start x|plan show T7|session tail s|doctor|config explain|stop T7"
    for command in commands.split("|"):
        ended = heddle(*command.split())
        assert "evil" in ended.out + ended.err, command
        assert steers(ended.out + ended.err) == [], command


def test_why_tells_what_the_session_claims_and_how_far_it_has_come_apart(daemon: StandIn) -> None:
    sign = {
        "reason": "drift",
        "points": 10,
        "text": "main changed its files: a.py",
        "means": "refreshed at the next boundary",
    }
    daemon.answers["task.why"] = {
        "task": "T7",
        "status": "running",
        "reason": "execute, attempt 1",
        "who": "heddle",
        "act": [],
        "evidence": "",
        "timeline": [],
        "claims": ["b.py", "docs/**"],
        "rot": {"score": 10, "signs": [sign], "unknown": ["its agent does not say how full its context is"]},
    }
    assert heddle("why", "T7").out == snapshot("""\
T7  running: execute, attempt 1
waits for: heddle
its session claims: b.py, docs/**
rot of its session: 10 of 100
     10  main changed its files: a.py; refreshed at the next boundary
      ?  its agent does not say how full its context is
""")


def on_a_terminal(*words: str, **env: str) -> str:
    """What a command writes when its standard output is a terminal."""
    ours, theirs = pty.openpty()
    command = (sys.executable, "-m", "heddle.frontends.cli", *words)
    with subprocess.Popen(command, stdout=theirs, stderr=theirs, stdin=theirs, env=os.environ | env) as process:
        os.close(theirs)
        shown = b""
        try:
            while block := os.read(ours, 65_536):
                shown += block
        except OSError:  # Linux ends a terminal that nobody holds with an error
            pass
        os.close(ours)
        assert process.wait(timeout=30) == 0
    return shown.decode()


def test_colour_is_for_terminals_where_nobody_said_no(daemon: StandIn) -> None:
    daemon.answers["board"] = board(row())
    assert "\x1b[" not in heddle("status").out
    assert "\x1b[36m● running" in on_a_terminal("status", TERM="xterm")
    assert "\x1b[" not in on_a_terminal("status", TERM="xterm", NO_COLOR="1")
    assert "\x1b[" not in on_a_terminal("status", TERM="dumb")


def test_a_diff_is_escaped_on_a_terminal_and_untouched_in_a_pipe(daemon: StandIn) -> None:
    diff = "--- a/Makefile\n+++ b/Makefile\n@@ -1 +1 @@\n-all:\n+all:\x0c\n+\techo \x1b[2Jhi\n"
    daemon.answers["task.diff"] = {"task": "T7", "of": "result", "diff": diff, "paths": ["Makefile"]}
    assert heddle("diff", "T7").out == diff
    assert "\\x1b[2J" in on_a_terminal("diff", "T7")


def test_an_unsuited_locale_is_no_reason_to_fail(daemon: StandIn) -> None:
    daemon.answers["board"] = board(row(title="größer"))
    ended = heddle("status", PYTHONIOENCODING="ascii")
    assert ended.status == 0
    assert "gr\\xf6\\xdfer" in ended.out
