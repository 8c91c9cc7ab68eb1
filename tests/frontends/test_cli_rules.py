"""`heddle rules` as a process: with answers that a test names, and on a real repository."""

import json
from pathlib import Path
from typing import Any

import pytest
from inline_snapshot import snapshot

from support.command_line import heddle
from support.fleet import git, make_repository
from support.stand_in import StandIn


def finding(severity: str, **told: Any) -> dict[str, Any]:
    plain = {
        "slug": "dead-path",
        "severity": severity,
        "path": "AGENTS.md",
        "line": 3,
        "text": "names 'x'",
        "remedy": "mend it",
    }
    return plain | told


def checked(*findings: dict[str, Any], **told: Any) -> dict[str, Any]:
    plain = {
        "schema": "heddle.rules/1",
        "agents": [
            {"agent": "claude", "version": "2.1.330", "here": True},
            {"agent": "codex", "version": "", "here": False},
        ],
        "findings": list(findings),
        "score": 88,
        "reasons": ["+25 of 25: tests", "-2: 1 of severity warning, 2 each, 30 at most"],
        "loads": [{"agent": "codex", "path": "AGENTS.md", "when": "start", "why": "its own file"}],
        "whole": True,
        "unread": 0,
    }
    return plain | told


def test_check_prints_findings_and_the_score_and_fails_on_errors(daemon: StandIn, tmp_path: Path) -> None:
    daemon.answers["rules.check"] = checked(
        finding("error", line=0, path="a\x1b[31m.md"), finding("warning", remedy=""), whole=False, unread=3
    )
    ended = heddle("rules", "check", "--agent", "codex", "--agent", "claude", "--loads", cwd=tmp_path)
    assert ended.status == 1
    assert ended.out == snapshot("""\
error    a\\x1b[31m.md  dead-path: names 'x'
         next: mend it
warning  AGENTS.md:3  dead-path: names 'x'
codex     AGENTS.md  at its start: its own file
score 88 of 100
""")
    assert ended.err == snapshot("""\
  +25 of 25: tests
  -2: 1 of severity warning, 2 each, 30 at most
for claude (2.1.330), codex (not on this machine)
3 further files of rules, deep in folders, were not read
the repository was not read whole: dead paths and commands are not told
""")
    assert daemon.calls("rules.check") == [{"root": str(tmp_path), "agents": ["codex", "claude"]}]


@pytest.mark.parametrize(("severity", "plain", "strict"), [("error", 1, 1), ("warning", 0, 1), ("note", 0, 0)])
def test_the_status_says_whether_the_rules_hold(daemon: StandIn, severity: str, plain: int, strict: int) -> None:
    daemon.answers["rules.check"] = told = checked(finding(severity))
    ended = heddle("rules", "check", "--json")
    assert (ended.status, json.loads(ended.out)) == (plain, told)
    assert heddle("rules", "check", "--strict").status == strict


def test_sync_shows_what_it_would_write_and_what_it_wrote(daemon: StandIn, tmp_path: Path) -> None:
    block = "mine\n<!-- heddle:rules begin -->\nours\n<!-- heddle:rules end -->\nmine\n"
    writes = [
        {"path": "AGENTS.md", "new": False, "why": "the block of Heddle", "text": block},
        {"path": "CLAUDE.md", "new": True, "why": "claude reads it", "text": "@AGENTS.md\n"},
    ]
    left = [{"path": "GEMINI.md", "why": "it is yours"}]
    told = {"schema": "heddle.rules-sync/1", "written": False, "writes": writes, "left": left}
    daemon.answers["rules.sync"] = told
    ended = heddle("rules", "sync", "--compile", "cursor", cwd=tmp_path)
    assert (ended.status, ended.err) == (0, "nothing was written; write it with: heddle rules sync --write\n")
    assert ended.out == snapshot("""\
would write AGENTS.md: the block of Heddle
    <!-- heddle:rules begin -->
    ours
    <!-- heddle:rules end -->
would make CLAUDE.md: claude reads it
    @AGENTS.md
left GEMINI.md: it is yours
""")
    daemon.answers["rules.sync"] = told | {"written": True, "left": []}
    ended = heddle("rules", "sync", "--write", cwd=tmp_path)
    assert ended.out == "written AGENTS.md: the block of Heddle\nmade CLAUDE.md: claude reads it\n"
    asked = [(call["write"], call["compile_for"]) for call in daemon.calls("rules.sync")]
    assert asked == [(False, ["cursor"]), (True, [])]
    daemon.answers["rules.sync"] = told | {"writes": [], "left": []}
    assert heddle("rules", "sync").err == "nothing to write\n"
    assert json.loads(heddle("rules", "sync", "--json").out)["schema"] == "heddle.rules-sync/1"


def test_show_tells_the_files_of_each_session_and_what_is_unknown(daemon: StandIn) -> None:
    common = {"stage": "plan", "commit": "0123456789abcdef", "version": "", "files": [], "unsaid": []}
    known = {"known": True, "told": "by the known rules of claude"}
    sessions = [
        {"session": "T7-1", "agent": "claude", **common, **known}
        | {
            "version": "2.1.330",
            "files": [{"path": "CLAUDE.md", "when": "start", "why": "its own file"}],
            "unsaid": [".claude/rules/x.md"],
        },
        {"session": "T7-2", "agent": "claude", **common, **known},
        {"session": "T7-3", "agent": "mine", **common, "known": False, "told": "what 'mine' loads is not known"},
    ]
    daemon.answers["rules.show"] = {"schema": "heddle.rules-shown/1", "task": "T7", "sessions": sessions}
    assert heddle("rules", "show", "T7").out == snapshot("""\
T7-1  claude 2.1.330  base 0123456789ab
    CLAUDE.md  at its start: its own file
    .claude/rules/x.md  it is known to load it, and did not speak of it
    (by the known rules of claude)
T7-2  claude  base 0123456789ab
    no rules of the repository
    (by the known rules of claude)
T7-3  mine  base 0123456789ab
    unknown
    (what 'mine' loads is not known)
""")
    assert json.loads(heddle("rules", "show", "T7", "--json").out)["task"] == "T7"
    daemon.answers["rules.show"] = {"schema": "heddle.rules-shown/1", "task": "T7", "sessions": []}
    assert heddle("rules", "show", "T7").err == "no session has started yet\n"


def test_a_task_belongs_to_show_alone(daemon: StandIn) -> None:
    assert "show takes a task" in heddle("rules", "show").err
    ended = heddle("rules", "check", "T7")
    assert (ended.status, ended.err) == (2, "error: check takes no task\nhint: see: heddle rules --help\n")


@pytest.mark.usefixtures("real_daemon")
def test_on_a_real_repository_a_refusal_writes_nothing_and_a_commit_lets_it_through(tmp_path: Path) -> None:
    repository = make_repository(tmp_path / "repo", {"AGENTS.md": "# Rules\n"})
    (repository / "AGENTS.md").write_text("# Rules\nmine\n")
    ended = heddle("rules", "sync", "--write", "--agent", "claude", cwd=repository)
    assert ended.status == 6
    assert ended.err == snapshot("""\
error: 'AGENTS.md' has uncommitted changes, which are yours
hint: commit them or take them back, then: heddle rules sync --write
""")
    assert (repository / "AGENTS.md").read_text() == "# Rules\nmine\n" and not (repository / "CLAUDE.md").exists()
    git(repository, "commit", "-qam", "mine")
    ended = heddle("rules", "sync", "--write", "--agent", "claude", cwd=repository)
    assert ended.status == 0
    assert [line.split(":")[0] for line in ended.out.splitlines()] == ["written AGENTS.md", "made CLAUDE.md"]
    assert heddle("rules", "check", "--agent", "claude", cwd=repository).status == 0
