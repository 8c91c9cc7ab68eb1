"""`heddle open` and `heddle shell` as commands, and as a person at a real terminal sees them."""

import json
import os
import shlex
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from inline_snapshot import snapshot

from support.command_line import Ended, error, heddle
from support.fleet import git, make_repository, scene, write_script
from support.stand_in import StandIn
from support.tmux import Tmux
from support.visitor import Visitor

ABOUT = {"task": "T7", "workspace": "t7-1-execute-1", "stage": "execute"}
HEDDLE = (sys.executable, "-m", "heddle.frontends.cli")


def opened(asked: dict[str, Any]) -> dict[str, Any]:
    path = asked["path"] or "/home/ann/app-T7"
    cautions = [{"path": "a\x1b[1m/.envrc", "why": "direnv runs it"}, {"path": ".idea", "why": "JetBrains"}]
    return {"schema": "heddle.open/1", **ABOUT, "path": path, "cautions": cautions}


def entered(*argv: str, kept: bool = True) -> dict[str, Any]:
    return {"schema": "heddle.visit/1", **ABOUT, "kept": kept, "argv": list(argv)}


def test_open_prints_the_path_and_says_beside_it_what_to_mind(daemon: StandIn, tmp_path: Path) -> None:
    daemon.answers["workspace.open"] = opened
    ended = heddle("open", "T7")
    assert (ended.status, ended.out) == (0, "/home/ann/app-T7\n")
    assert ended.err == snapshot("""\
from t7-1-execute-1 as it is now; what you change here stays here
careful: a\\x1b[1m/.envrc: direnv runs it
careful: .idea: JetBrains
""")
    heddle("open", "T7", "../look", "--stage", "plan", "--workspace", "w", cwd=tmp_path)
    asked = {"task": "T7", "path": "", "stage": "", "workspace": ""}
    assert daemon.calls("workspace.open")[0] == asked
    assert daemon.calls("workspace.open")[1] == asked | {
        "path": str(tmp_path.parent / "look"),
        "stage": "plan",
        "workspace": "w",
    }
    assert json.loads(heddle("open", "T7", "--json").out) == opened({"path": ""})


def test_shell_becomes_what_it_was_told_to_run(daemon: StandIn) -> None:
    daemon.answers["workspace.enter"] = entered("/bin/sh", "-c", "cat; echo err >&2; exit 3")
    ended = heddle("shell", "T7", stdin="typed\n", SHELL="/bin/zsh", TERM="vt100")
    assert (ended.status, ended.out, ended.err) == (3, "typed\n", "err\n")
    asked = {"task": "T7", "stage": "", "workspace": "", "command": [], "shell": "/bin/zsh", "term": "vt100"}
    assert daemon.calls("workspace.enter") == [asked | {"terminal": False}]


@pytest.mark.parametrize(
    ("words", "command"),
    [
        ("T7 -- make test -k --json", ["make", "test", "-k", "--json"]),
        ("T7 -- sh -c true -- --stage x", ["sh", "-c", "true", "--", "--stage", "x"]),
        ("T7 make test", ["make", "test"]),
        ("--json T7 -- ls", ["ls"]),
        ("T7 --json -- ls", ["ls"]),
        ("T7 --stage execute -- ls --", ["ls", "--"]),
        ("T7 --", []),
    ],
)
def test_what_follows_the_two_dashes_is_the_command_word_for_word(
    daemon: StandIn, words: str, command: list[str]
) -> None:
    daemon.answers["workspace.enter"] = entered("/bin/true")
    ended = heddle("shell", *words.split())
    assert (ended.status, ended.err) == (0, "")
    assert daemon.calls("workspace.enter")[0]["command"] == command


def test_shell_answers_as_json_with_what_the_command_wrote(daemon: StandIn) -> None:
    daemon.answers["workspace.enter"] = entered("/bin/sh", "-c", r"cat; printf 'err\377' >&2; exit 3")
    ended = heddle("shell", "T7", "--json", "--", "x", stdin="typed\n")
    assert (ended.status, ended.err) == (3, "")
    told = {"status": 3, "out": "typed\n", "err": "err\ufffd", "kept": True}
    assert json.loads(ended.out) == {"schema": "heddle.shell/1", **ABOUT, **told}


def test_a_door_that_cannot_be_opened_is_an_error_with_a_next_step(daemon: StandIn) -> None:
    daemon.answers["workspace.enter"] = entered("/no/such/python")
    for words in ((), ("--json",)):
        ended = heddle("shell", "T7", *words, "--", "ls")
        told = ended.err if not words else json.loads(ended.out)["error"]["message"]
        assert (ended.status, "'/no/such/python' cannot be run" in told) == (7, True)


def test_an_error_before_a_command_is_told_in_the_rendering_that_was_asked_for(daemon: StandIn) -> None:
    daemon.answers["workspace.enter"] = {
        "error": {"kind": "user", "slug": "s", "message": "m", "hint": "", "facts": {}}
    }
    plain = heddle("shell", "T7", "--", "ls", "--json")
    assert (plain.status, plain.out, plain.err) == (2, "", "error: m\n")
    assert json.loads(heddle("shell", "T7", "--json", "--", "ls").out)["error"]["slug"] == "s"


def test_a_terminal_is_asked_for_when_somebody_types_and_looks(daemon: StandIn, tmp_path: Path) -> None:
    daemon.answers["workspace.enter"] = entered("/bin/true", kept=False)
    cases: list[tuple[tuple[str, ...], bool, bool]] = [
        ((), False, True),
        (("--", "ls"), False, True),
        ((), True, True),
        (("--", "ls"), True, False),  # what is redirected stays byte for byte as it is written
    ]
    for words, redirected, terminal in cases:
        with (tmp_path / "out").open("w") as file:
            visitor = Visitor([*HEDDLE, "shell", "T7", *words], stdout=file.fileno() if redirected else None)
            assert visitor.left() == 0
        assert daemon.calls("workspace.enter")[-1]["terminal"] is terminal, words
        assert ("what you change here is thrown away; leave with: exit" in visitor.shown) is (not words)
        visitor.close()
    visitor = Visitor([*HEDDLE, "shell", "T7", "--json"])
    assert visitor.left() == 2
    assert "no-command" in visitor.shown
    visitor.close()


# ----------------------------------------------------------------------------------------- the real thing


@pytest.fixture
def tmux(tmp_path: Path) -> Iterator[Tmux]:
    made = Tmux(Path(os.environ["HEDDLE_HOME"]).parent)
    yield made
    made.run("kill-server")


@pytest.fixture
def task(real_daemon: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: Any) -> Iterator[Path]:
    """A repository with T1 in execute: it has written b.txt and asks. The sandbox's tier is the test's parameter."""
    person = tmp_path / "person.toml"
    person.write_text(f'[agent]\ndefault = "rehearsal"\n[sandbox]\ntier = "{request.param}"\n')
    steps = [{"do": "write", "path": "b.txt", "text": "hello\n"}, {"do": "ask", "text": "go on?", "default": "yes"}]
    scenes = [scene("execute", *steps, {"do": "document", "text": "done\n"})]
    monkeypatch.setenv("HEDDLE_CONFIG", str(person))
    monkeypatch.setenv("HEDDLE_REHEARSAL_SCRIPT", str(write_script(tmp_path / "script.toml", scenes)))
    repository = make_repository(tmp_path / "app")
    words = ("--lane", "quick", "--scope", "**", "--check", "test -s b.txt", "--wait")
    started = heddle("start", "write b", *words, cwd=repository)
    assert (started.status, "go on?" in started.out) == (3, True), started
    yield repository
    heddle("stop", "T1")
    heddle("wait", "T1", "--timeout", "30")


BOTH = pytest.mark.parametrize("task", ["0", "2"], indirect=True)
SHELL = "SHELL=/bin/sh " + shlex.join(HEDDLE)


@BOTH
@pytest.mark.needs("tmux")
def test_a_person_at_a_real_terminal(task: Path, tmux: Tmux, tmp_path: Path) -> None:
    tmux.type(f"stty -a > '{tmp_path}/before'; {SHELL} shell T1")
    screen = tmux.see(lambda screen: "leave with: exit" in screen and screen.rstrip().endswith(("$", "#", ">")))
    assert "in t1-1-execute-1; what you change here becomes part of the result; leave with: exit" in " ".join(
        line.strip() for line in screen.splitlines()
    )
    tmux.type("PS1='in> '; clear")
    tmux.type("cat b.txt; stty size; echo by hand > c.txt")
    tmux.see(lambda screen: "hello\n30 100\n" in screen)
    tmux.type("clear; sh -c 'echo asleep$((1 + 1)); exec sleep 100'")
    tmux.see(lambda screen: "asleep2" in screen)
    tmux.run("send-keys", "C-c")
    tmux.see(lambda screen: screen.rstrip().endswith("in>"))
    tmux.type("echo status $?")
    tmux.see(lambda screen: "status 130" in screen)
    tmux.run("resize-window", "-x", "70", "-y", "20")
    tmux.type("clear; stty size")
    tmux.see(lambda screen: "20 70" in screen)
    tmux.type("exit 7")
    tmux.see(lambda screen: screen.rstrip().endswith("mine>"))
    tmux.type(f"echo left $?; stty -a > '{tmp_path}/after'; echo written")
    tmux.see(lambda screen: "left 7\nwritten\n" in screen)
    before, after = ((tmp_path / name).read_text().partition("line")[2] for name in ("before", "after"))
    assert before == after
    assert heddle("answer", "T1", "--default").status == 0
    assert heddle("wait", "T1", "--timeout", "60").status == 0
    assert git(task, "show", "main:c.txt") == "by hand"


@BOTH
@pytest.mark.needs("tmux")
def test_a_stop_gives_the_person_their_terminal_back(task: Path, tmux: Tmux) -> None:
    tmux.type(SHELL + " shell T1")
    tmux.see(lambda screen: "leave with: exit" in screen)
    tmux.type(r"printf '\033[?1049h\033[?25l'; stty raw -echo; echo r$((1+1))dy")
    tmux.see(lambda screen: "r2dy" in screen and "leave with" not in screen)
    assert heddle("stop", "T1").status == 0
    said = "\nheddle: the visit was ended from outside; see: heddle why T1\nmine>"
    tmux.see(lambda screen: said in screen)
    tmux.type("echo status $?; echo 'plain again'")
    tmux.see(lambda screen: "plain again\n" in screen and "status 129" in screen)
    assert tmux.run("display-message", "-p", "#{cursor_flag} #{alternate_on}").split() == ["1", "0"]


@BOTH
def test_scripts_get_streams_and_status(task: Path, tmp_path: Path) -> None:
    def ours(*words: str, stdin: str = "") -> Ended:
        return heddle(*words, stdin=stdin, cwd=tmp_path, SHELL="/bin/sh")

    ended = ours("shell", "T1", "--", "sh", "-c", "cat b.txt -; echo err >&2; exit 9", stdin="typed\n")
    assert (ended.status, ended.out, ended.err) == (9, "hello\ntyped\n", "err\n")
    assert ours("shell", "t1", stdin="cat b.txt; exit 4\n").status == 4
    told = json.loads(ours("shell", "T1", "--json", "--", "cat", "b.txt").out)
    assert (told["schema"], told["stage"], told["out"]) == ("heddle.shell/1", "execute", "hello\n")
    ended = ours("shell", "T9", "--", "true")
    assert (ended.status, ended.err.splitlines()[0]) == (2, "error: there is no task 'T9'")
    path = Path(ours("open", "T1", "look").out.strip())
    assert (path, (path / "b.txt").read_text()) == (tmp_path / "look", "hello\n")
    ended = ours("open", "T1", "look")
    assert (ended.status, "already" in ended.err) == (2, True)
    assert (path / "b.txt").read_text() == "hello\n"
    assert "a person entered t1-1-execute-1: cat b.txt" in ours("why", "T1").out


def shown(asked: dict[str, Any]) -> dict[str, Any]:
    url = "http://t7.localhost:40123/"
    return {"schema": "heddle.preview/1", **ABOUT, "port": asked["port"] or 3000, "url": url, "listening": False}


def test_preview_prints_the_address_and_says_beside_it_what_it_shows(daemon: StandIn) -> None:
    daemon.answers["preview.open"] = shown
    ended = heddle("preview", "T7")
    assert (ended.status, ended.out) == (0, "http://t7.localhost:40123/\n")
    assert ended.err == snapshot("""\
what t7-1-execute-1 serves on port 3000; end it with: heddle preview T7 --stop
nobody listens there yet; load the page again once a server runs
""")
    ended = heddle("preview", "T7", "--port", "5173", "--workspace", "w", "--json")
    assert json.loads(ended.out) == shown({"port": 5173})
    asked = {"task": "T7", "port": 0, "workspace": ""}
    assert daemon.calls("preview.open") == [asked, {"task": "T7", "port": 5173, "workspace": "w"}]
    assert heddle("preview", "T7", "--port", "http").status == 2


def test_preview_opens_the_browser_when_it_is_asked_to(daemon: StandIn, tmp_path: Path) -> None:
    daemon.answers["preview.open"] = shown
    browser = tmp_path / "browser"
    browser.write_text(f'#!/bin/sh\necho "$1" > {tmp_path}/seen\n')
    browser.chmod(0o755)
    assert heddle("preview", "T7", "--open", BROWSER=f"{browser} %s").status == 0
    assert (tmp_path / "seen").read_text() == "http://t7.localhost:40123/\n"
    browser.write_text("#!/bin/sh\nexit 1\n")
    ended = heddle("preview", "T7", "--open", BROWSER=f"{browser} %s", PATH="/nowhere")
    assert (ended.status, ended.out) == (7, "")
    assert ended.err == snapshot("""\
error: no browser could be started for http://t7.localhost:40123/
hint: open http://t7.localhost:40123/ yourself
""")


def test_preview_is_ended_and_tells_why_it_cannot_be_opened(daemon: StandIn) -> None:
    daemon.answers["preview.stop"] = told = {
        "schema": "heddle.preview-end/1",
        "task": "T7",
        "workspace": "w",
        "url": "u",
    }
    assert heddle("preview", "T7", "--stop").out == "T7  preview ended\n"
    assert json.loads(heddle("preview", "T7", "--stop", "--json").out) == told
    off = error("setup", "previews are off", slug="preview-off", hint="put 'enabled = true' there", status=4)
    daemon.answers["preview.open"] = off
    ended = heddle("preview", "T7")
    assert (ended.status, ended.out) == (4, "")
    assert ended.err == "error: previews are off\nhint: put 'enabled = true' there\n"
