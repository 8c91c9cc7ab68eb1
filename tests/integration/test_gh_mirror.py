"""Issues that show what became of their tasks: a `gh` with issues in it, which fails where it is told to."""

import asyncio
import json
import os
import sys
from pathlib import Path

import pytest

from heddle.adapters.trackers import TaskLists
from heddle.api import mirroring
from heddle.core.errors import OutsideError, UserError
from heddle.core.mirror import Reflection
from support.fleet import heddle, make_repository, scene

GH = """
import json, sys
from pathlib import Path
place = Path(__file__).parent
state = json.loads((place / "issues.json").read_text())
words = [word for word in sys.argv[1:] if not word.startswith("--")]
options = dict(word[2:].partition("=")[::2] for word in sys.argv[1:] if word.startswith("--"))
with (place / "asked").open("a") as asked:
    asked.write(" ".join(words[:2]) + "\\n")
if (place / "fails").exists() and " ".join(words[:2]) == (place / "fails").read_text():
    sys.exit("gh: no network")
issue = state.get(words[2], {}) if words[0] == "issue" and len(words) > 2 else {}
match words[1]:
    case "list":
        print(json.dumps([{**one, "number": int(n), "url": f"https://github.com/acme/loom/issues/{n}"} for n, one in state.items()]))
    case "view":
        print(json.dumps(issue))
    case "comment":
        issue["comments"].append({"body": options["body"]})
    case "close":
        issue["state"] = "CLOSED"
    case "edit":
        issue["labels"] += [{"name": options["add-label"]}] if "add-label" in options else []
        issue["labels"] = [one for one in issue["labels"] if one["name"] != options.get("remove-label")]
(place / "issues.new").write_text(json.dumps(state))
(place / "issues.new").rename(place / "issues.json")  # a test reads it meanwhile
"""


class GitHub:
    """A folder of PATH with a `gh` in it that has two open issues."""

    def __init__(self, folder: Path) -> None:
        self.bin = folder / "bin"
        self.bin.mkdir()
        (self.bin / "gh.py").write_text(GH)
        (self.bin / "gh").write_text(f'#!/bin/sh\nexec {sys.executable} -I {self.bin}/gh.py "$@"\n')
        (self.bin / "gh").chmod(0o755)
        issue = {"title": "write a", "body": "", "state": "OPEN", "labels": [], "comments": []}
        (self.bin / "issues.json").write_text(json.dumps({"1": issue, "2": {**issue, "title": "write b"}}))

    @property
    def path(self) -> str:
        return f"{self.bin}:{os.environ['PATH']}"

    def issue(self, number: int) -> dict[str, object]:
        told: dict[str, object] = json.loads((self.bin / "issues.json").read_text())[str(number)]
        return told

    def fail_at(self, words: str) -> None:
        (self.bin / "fails").write_text(words)

    def asked(self) -> list[str]:
        return (self.bin / "asked").read_text().splitlines()


@pytest.fixture
def github(tmp_path: Path) -> GitHub:
    return GitHub(tmp_path)


LANDED = Reflection("T1/1/landed", "Landed on `main` as abc.", closed=True)


async def test_an_issue_is_told_once_also_when_it_fails_between(github: GitHub, tmp_path: Path) -> None:
    lists, source = TaskLists({"PATH": github.path}), "github:acme/loom#1"
    await lists.show(source, Reflection("T1/1/working", working=True), str(tmp_path))
    assert github.issue(1)["labels"] == [{"name": "in progress"}]
    github.fail_at("issue close")
    with pytest.raises(OutsideError):
        await lists.show(source, LANDED, str(tmp_path))
    (github.bin / "fails").unlink()
    for _ in range(2):
        await lists.show(source, LANDED, str(tmp_path))
    assert github.issue(1)["state"] == "CLOSED"
    assert github.issue(1)["labels"] == []
    assert [one["body"] for one in github.issue(1)["comments"]] == [  # type: ignore[attr-defined]
        "Landed on `main` as abc.\n\n<!-- heddle T1/1/landed -->"
    ]
    assert github.asked().count("issue close") == 2
    with pytest.raises(UserError):
        await lists.show("github:issues.json#1", LANDED, str(tmp_path))


async def test_what_becomes_of_tasks_is_told_to_their_issues_and_nothing_of_before(
    github: GitHub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mirroring, "RETRY_S", 0.05)
    repository = make_repository(tmp_path / "repo")
    done = scene("execute", {"do": "write", "path": "a.txt", "text": "a\n"}, {"do": "document", "text": "d\n"})
    async with heddle(tmp_path, repository, [done], PATH=github.path) as fleet:
        with pytest.raises(UserError, match="came from an issue"):
            await fleet.call("task.mirror", root=str(repository))
        await fleet.call("task.import", root=str(repository), where="acme/loom", format="github")
        await fleet.call("task.close", task="T2", why="not wanted")
        assert (await fleet.call("task.mirror", root=str(repository)))["tasks"] == 2
        telling = asyncio.create_task(mirroring.serve(fleet.house.desk))
        github.fail_at("issue view")
        await fleet.call("task.edit", task="T1", lane="quick", scope=["a.txt"], checks=["true"])
        await fleet.call("task.start", root=str(repository), task="T1")
        assert (await fleet.until("T1"))[0]["status"] == "landed"
        async with asyncio.timeout(20):
            while mirroring.TROUBLE not in fleet.house.desk.troubles:
                await asyncio.sleep(0.01)
            (github.bin / "fails").unlink()
            while github.issue(1)["state"] != "CLOSED" or fleet.house.desk.troubles:
                await asyncio.sleep(0.01)
        commit = str((await fleet.until("T1"))[0]["commit"])
        (comment,) = github.issue(1)["comments"]  # type: ignore[misc]
        assert commit in comment["body"]
        assert (github.issue(2)["state"], github.issue(2)["comments"]) == ("OPEN", [])
        await fleet.call("task.mirror", root=str(repository), end=True)
        telling.cancel()
        await asyncio.wait({telling})
