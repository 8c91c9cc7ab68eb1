"""What cannot be looked at decides nothing: no gate passes, and nothing runs that nobody allowed."""

import asyncio
from pathlib import Path

from support.fleet import git, heddle, make_repository, writes


async def test_p1_no_gate_passes_while_the_repository_cannot_be_looked_at(tmp_path: Path) -> None:
    repository = make_repository(tmp_path / "repo")
    async with heddle(tmp_path, repository, writes("b.txt")) as fleet:
        id = await fleet.start("write b", checks=["test -s b.txt"])
        await fleet.until_kind(id, "plan-delivered")
        await fleet.until_tidy(id)
    repository.rename(tmp_path / "away")
    async with heddle(tmp_path, repository, writes("b.txt")) as fleet:
        assert await fleet.house.desk.fleet.up_to_date(20)
        shown = await fleet.call("task.show", task=id)
        assert shown["status"] == "waiting" and str(repository) in shown["why"]
        assert not [event for event in await fleet.kinds(id) if event == "stage-started"][2:]
    (tmp_path / "away").rename(repository)
    async with heddle(tmp_path, repository, writes("b.txt")) as fleet:
        assert await fleet.house.desk.fleet.up_to_date(20)
        assert (await fleet.call("task.show", task=id))["why"] == "the plan is ready"
        passed = [
            event["data"] for event in (await fleet.call("events", task=id))["events"] if event["kind"] == "gate-passed"
        ]
        assert [one["stage"] for one in passed] == ["research"]


async def test_x5_what_is_adopted_is_checked_by_what_a_person_allowed(tmp_path: Path) -> None:
    check = "touch ran; test -f a.py"
    files = {"a.py": "x = 1\n", "heddle.toml": f'[checks]\ncommands = ["{check}"]\n'}
    repository = make_repository(tmp_path / "repo", files)
    git(repository, "checkout", "-q", "-b", "work")
    (repository / "n.py").write_text("1\n")
    git(repository, "add", "-A")
    git(repository, "commit", "-q", "-m", "work")
    git(repository, "checkout", "-q", "main")
    async with heddle(tmp_path, repository, writes("b.txt")) as fleet:
        id = (await fleet.call("task.adopt", root=str(repository), what="work"))["id"]
        async with asyncio.timeout(30):
            while not (items := (await fleet.call("inbox"))["items"]):
                await asyncio.sleep(0.02)
        assert [(item["kind"], check in item["text"]) for item in items] == [("commands", True)]
        assert "verdict-reached" not in await fleet.kinds(id)
        await fleet.call("inbox.approve", task=id)
        assert (await fleet.until(id))[0]["status"] == "landed"
        verdict = (await fleet.call("task.show", task=id))["verdict"]
        assert [result["command"] for result in verdict["results"]] == [check]
        quick = await fleet.start("write b", lane="quick")
        assert (await fleet.until(quick))[0]["status"] == "landed", "the repository's checks hold without a plan, too"


async def test_a_model_is_asked_of_its_own_brand_alone(tmp_path: Path) -> None:
    repository = make_repository(tmp_path / "repo")
    (tmp_path / "agents").mkdir()
    absent = 'name = "gone"\nprotocol = "acp"\ncommand = ["no-such-x"]\nversion_command = ["no-such-x"]\n'
    (tmp_path / "agents" / "gone.toml").write_text(absent)
    config = 'fallbacks = ["rehearsal"]\n'
    async with heddle(tmp_path, repository, writes("b.txt"), config, HEDDLE_AGENT="gone") as fleet:
        run = fleet.house.desk.runs.require(await fleet.start("write b", model="opus"))
        settings = await fleet.house.desk.fleet.worlds.settings(run)
        assert settings.candidates(run.task, run.stage) == (("gone", "opus"), ("rehearsal", ""))
        named = fleet.house.desk.runs.require(await fleet.start("write b", agent="rehearsal:large"))
        assert (named.task.agent, named.task.model) == ("rehearsal", "large")
