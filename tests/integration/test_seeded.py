"""Settings are added to an agent's file before it starts, and nothing that is there is lost."""

import json
import os
import stat
import subprocess
import sys
from importlib.resources import files
from pathlib import Path

import pytest

PROGRAM = (sys.executable, "-I", "-S", str(files("heddle.relay").joinpath("seeded.py")))
SETTINGS = {"done": True, "keys": {"approved": ["new"]}, "projects": {"/tree": {"trusted": True}}}


def start(
    file: Path | str, *command: str, seed: object = SETTINGS, cwd: Path | None = None
) -> "subprocess.CompletedProcess[str]":
    env = {**os.environ, "HEDDLE_SEED": json.dumps(seed)}
    argv = (*PROGRAM, str(file), *(command or ("sh", "-c", 'echo agent; echo "$HEDDLE_SEED"; exit 7')))
    return subprocess.run(argv, env=env, capture_output=True, text=True, check=False, cwd=cwd)


@pytest.mark.parametrize("linked", [False, True])
def test_settings_are_added_and_the_agent_does_not_see_them(tmp_path: Path, linked: bool) -> None:
    file = target = tmp_path / "config.json"
    if linked:
        target = tmp_path / "dotfiles.json"
        file.symlink_to(target)
    theirs = {
        "keys": {"approved": ["old"], "rejected": ["r"]},
        "projects": {"/other": {"trusted": False}},
        "done": False,
    }
    target.write_text(json.dumps(theirs))
    done = start(file)
    assert (done.returncode, done.stdout) == (7, "agent\n\n")
    assert json.loads(target.read_text()) == {
        "keys": {"approved": ["old", "new"], "rejected": ["r"]},
        "projects": {"/other": {"trusted": False}, "/tree": {"trusted": True}},
        "done": True,
    }
    assert file.is_symlink() is linked
    assert start(file).returncode == 7
    assert json.loads(target.read_text())["keys"]["approved"] == ["old", "new"]


def test_a_file_that_is_not_there_is_made_for_its_owner_alone(tmp_path: Path) -> None:
    file = tmp_path / "deep" / "config.json"
    assert start(file).returncode == 7
    assert json.loads(file.read_text()) == SETTINGS
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert [path.name for path in file.parent.iterdir()] == ["config.json"]


@pytest.mark.parametrize("text", ["not JSON", "[]", ""])
def test_a_file_that_is_no_object_stays_as_it_is(tmp_path: Path, text: str) -> None:
    file = tmp_path / "config.json"
    file.write_text(text)
    assert start(file).returncode == 7
    assert file.read_text() == text


def test_what_cannot_be_written_is_said_and_the_agent_starts(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    done = start(tmp_path / "file" / "config.json")
    assert (done.returncode, "config.json" in done.stderr, "Traceback" in done.stderr) == (7, True, False)


def test_a_program_that_is_not_there_is_an_error_of_its_own(tmp_path: Path) -> None:
    done = start(tmp_path / "config.json", "no-such-agent")
    assert done.returncode == 127 and done.stderr.startswith("'no-such-agent': ")
    assert "Traceback" not in done.stderr


def test_nothing_of_the_folder_that_it_starts_in_is_imported(tmp_path: Path) -> None:
    for name in ("json.py", "pathlib.py", "heddle.py"):
        (tmp_path / name).write_text("raise SystemExit('the repository ran')\n")
    assert start(tmp_path / "config.json", cwd=tmp_path).returncode == 7
