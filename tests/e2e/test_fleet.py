"""The cycle with the rehearsal agent: what binds, what is refused, and what is told, with real git and real processes."""

import asyncio
import os
import shutil
import sqlite3
from pathlib import Path

import pytest

from heddle.core.cycle import World
from heddle.core.errors import OutsideError, Refused, UserError
from heddle.core.events import Event, WorkspaceRemoved
from heddle.core.run import AtGate, Run
from heddle.engine.runs import Runs
from heddle.engine.world import Worlds
from support.fleet import PLAN, git, heddle, make_repository, scene, write_agent, writes


async def test_c3_every_door_tells_the_same_state(tmp_path: Path) -> None:
    repository = make_repository(tmp_path / "repo")
    async with heddle(tmp_path, repository, writes("b.txt")) as fleet:
        id = await fleet.start("write b")
        await fleet.until_kind(id, "plan-delivered")
        await fleet.until(id, approve=False)
        board = (await fleet.call("board"))["tasks"][0]
        shown = await fleet.call("task.show", task=id)
        why = await fleet.call("task.why", task=id)
        waited = (await fleet.call("task.wait", tasks=[id]))["tasks"][0]
        told = {
            (one["status"], one[key]) for one, key in ((board, "why"), (shown, "why"), (why, "reason"), (waited, "why"))
        }
        assert len(told) == 1


async def test_c4_what_was_not_looked_at_is_unknown_and_says_so(tmp_path: Path) -> None:
    repository = make_repository(tmp_path / "repo")
    async with heddle(tmp_path, repository, []) as fleet:
        id = await fleet.start("write b")
        fleet.house.desk.fleet.decisions.clear()
        decision = fleet.house.desk.fleet.decision(fleet.house.desk.runs.require(id))
        assert decision.reason == "not-looked-at"  # type: ignore[union-attr]
        status = fleet.house.desk.row(fleet.house.desk.runs.require(id)).status
        assert status not in ("landed", "stopped", "waiting")


async def test_c5_a_waiting_task_names_what_it_waits_for(tmp_path: Path) -> None:
    repository = make_repository(tmp_path / "repo")
    async with heddle(tmp_path, repository, writes("b.txt")) as fleet:
        first, second = await fleet.start("write b"), await fleet.start("write b too")
        for id in (first, second):
            await fleet.until_kind(id, "plan-delivered")
        await fleet.call("inbox.approve", task=first)
        await fleet.until_kind(first, "result-delivered")
        why = await fleet.call("task.why", task=second)
        assert why["slug"] == "gate"
        assert why["act"]


async def test_p1_an_approval_of_another_digest_is_refused(tmp_path: Path) -> None:
    repository = make_repository(tmp_path / "repo")
    async with heddle(tmp_path, repository, writes("b.txt")) as fleet:
        id = await fleet.start("write b")
        await fleet.until_kind(id, "plan-delivered")
        read = (await fleet.call("plan.show", task=id))["digest"]
        await fleet.call("plan.edit", task=id, document=PLAN.format(path="c.txt"))
        with pytest.raises(Refused, match="not what waits"):
            await fleet.call("inbox.approve", task=id, digest=read)
        assert "gate-passed" not in list(await fleet.kinds(id))[-2:]


async def test_p3_a_write_outside_the_scope_is_raised_and_goes_back(tmp_path: Path) -> None:
    repository = make_repository(tmp_path / "repo")
    run = {"do": "run", "command": "echo x > elsewhere.txt"}
    scenes = [
        scene(
            "execute",
            run,
            {"do": "write", "path": "b.txt", "text": "x\n"},
            {"do": "document", "text": "d\n"},
            attempt=1,
        ),
        *writes("b.txt"),
    ]
    async with heddle(tmp_path, repository, scenes) as fleet:
        id = await fleet.start("write b")
        rows = await fleet.until(id)
        assert rows[0]["status"] == "landed"
        kinds = await fleet.kinds(id)
        assert "scope-violated" in kinds
        assert "stage-failed" in kinds
    assert "elsewhere.txt" not in git(repository, "ls-files")


async def test_p3_a_shell_write_outside_the_scope_is_raised_while_the_agent_works(tmp_path: Path) -> None:
    repository = make_repository(tmp_path / "repo")
    steps = [{"do": "run", "command": "echo x > elsewhere.txt"}, {"do": "ask", "text": "go on?", "default": "yes"}]
    scenes = [scene("execute", *steps, *writes("b.txt")[2]["steps"], attempt=1), *writes("b.txt")]
    async with heddle(tmp_path, repository, scenes) as fleet:
        id = await fleet.start("write b")
        await fleet.until_kind(id, "plan-delivered")
        await fleet.call("inbox.approve", task=id)
        violated = await fleet.until_kind(id, "scope-violated")
        assert violated["data"]["paths"] == ["elsewhere.txt"]
        kinds = await fleet.kinds(id)
        assert "stage-failed" not in kinds
        assert "result-delivered" not in kinds
        assert (await fleet.until(id))[0]["status"] == "landed"


async def test_d5_done_without_a_change_is_not_done(tmp_path: Path) -> None:
    repository = make_repository(tmp_path / "repo")
    idle = [scene("execute", {"do": "say", "text": "All done!"}, {"do": "document", "text": "done\n"})]
    async with heddle(tmp_path, repository, idle + writes("b.txt")) as fleet:
        id = await fleet.start("write b")
        rows = await fleet.until(id)
        assert rows[0]["status"] == "waiting"
        assert "nothing differs" in rows[0]["why"]
        assert "landed" not in await fleet.kinds(id)


async def test_d6_a_deleted_directory_fails_the_attempt_and_its_claims_are_ignored(tmp_path: Path) -> None:
    repository = make_repository(tmp_path / "repo")
    destroyed = scene(
        "execute",
        {"do": "write", "path": "b.txt", "text": "x\n"},
        {"do": "run", "command": 'd="$PWD"; cd /; rm -r "$d"'},
        {"do": "say", "text": "All done!"},
        attempt=1,
    )
    async with heddle(tmp_path, repository, [destroyed, *writes("b.txt")]) as fleet:
        id = await fleet.start("write b")
        rows = await fleet.until(id)
        assert rows[0]["status"] == "landed"
        failed = await fleet.until_kind(id, "stage-failed")
        assert failed["data"]["reason"] == "workspace-lost"


async def test_m1_main_moved_means_validated_again_and_nothing_of_it_is_lost(tmp_path: Path) -> None:
    repository = make_repository(tmp_path / "repo")
    config = "[gates]\nvalidate = 'person'\n"
    async with heddle(tmp_path, repository, writes("b.txt"), config) as fleet:
        id = await fleet.start("write b")
        await fleet.until_kind(id, "plan-delivered")
        await fleet.call("inbox.approve", task=id)
        await fleet.until_kind(id, "verdict-reached")
        (repository / "other.txt").write_text("mine\n")
        git(repository, "add", "other.txt")
        git(repository, "commit", "-q", "-m", "mine")
        await fleet.call("task.land", task=id)
        rows = await fleet.until(id)
        assert rows[0]["status"] == "landed"
        assert (await fleet.kinds(id)).count("verdict-reached") == 2
    assert (repository / "other.txt").read_text() == "mine\n"
    assert git(repository, "log", "--format=%s").splitlines() == ["write b", "mine", "first"]


async def test_m2_what_breaks_together_is_held_with_the_culprit(tmp_path: Path) -> None:
    repository = make_repository(
        tmp_path / "repo", {"a.txt": "one\n", "check.sh": "! grep -q two a.txt || ! test -e b.txt\n"}
    )
    scenes = [
        scene("plan", {"do": "document", "text": PLAN.format(path="b.txt").replace("test -s b.txt", "sh check.sh")}),
        *writes("b.txt"),
    ]
    async with heddle(tmp_path, repository, scenes, "[gates]\nvalidate = 'person'\n") as fleet:
        id = await fleet.start("write b")
        await fleet.until_kind(id, "plan-delivered")
        await fleet.call("inbox.approve", task=id)
        await fleet.until_kind(id, "verdict-reached")
        (repository / "a.txt").write_text("two\n")
        git(repository, "commit", "-q", "-am", "say two")
        await fleet.call("task.land", task=id)
        rows = await fleet.until(id)
        assert rows[0]["status"] == "waiting"
        assert "say two" in rows[0]["why"]
    assert not (repository / "b.txt").exists()


async def test_m8_edited_tests_are_told_and_the_agreed_checks_still_run(tmp_path: Path) -> None:
    repository = make_repository(tmp_path / "repo", {"a.py": "x = 1\n", "tests/test_a.py": "assert True\n"})
    change = scene(
        "execute", {"do": "write", "path": "tests/test_a.py", "text": "pass\n"}, {"do": "document", "text": "d\n"}
    )
    async with heddle(tmp_path, repository, [change, *writes("tests/test_a.py")]) as fleet:
        id = await fleet.start("loosen the test")
        rows = await fleet.until(id)
        assert "edited-tests" in rows[0]["flags"]
        verdict = (await fleet.until_kind(id, "verdict-reached"))["data"]["verdict"]
        assert verdict["edited_tests"] == ["tests/test_a.py"]
        assert [result["command"] for result in verdict["results"]] == ["test -s tests/test_a.py"]


async def test_p4_a_command_that_an_agent_wrote_waits_for_a_person(tmp_path: Path) -> None:
    repository = make_repository(tmp_path / "repo")
    async with heddle(tmp_path, repository, writes("b.txt"), "[gates]\nplan = 'nobody'\n") as fleet:
        first = await fleet.start("write b")
        rows = await fleet.until(first, approve=False)
        assert "never approved by a person" in rows[0]["why"]
        await fleet.until(first)
        git(repository, "rm", "-q", "b.txt")
        git(repository, "commit", "-q", "-m", "again")
        second = await fleet.start("write b again")
        rows = await fleet.until(second, approve=False)
        assert rows[0]["status"] == "landed"  # the same command was approved before


async def test_x5_commands_of_the_repository_wait_for_a_person(tmp_path: Path) -> None:
    files = {"a.py": "", "heddle.toml": '[setup]\ncommands = ["touch SET-UP"]\n', ".gitignore": "SET-UP\n"}
    repository = make_repository(tmp_path / "repo", files)
    async with heddle(tmp_path, repository, writes("b.txt")) as fleet:
        id = await fleet.start("write b")
        rows = await fleet.until(id, approve=False)
        assert "touch SET-UP" in rows[0]["why"]
        assert not list(Path(os.environ["HEDDLE_HOME"]).rglob("SET-UP"))
        await fleet.call("inbox.approve", task=id)
        rows = await fleet.until(id)
        assert rows[0]["status"] == "landed"


async def test_x5_what_set_up_made_elsewhere_is_undone_before_a_workspace_goes(tmp_path: Path) -> None:
    """At tier 0, where there is an elsewhere."""
    made = tmp_path / "elsewhere"
    made.mkdir()
    setup = (
        f'commands = ["touch {made}/$HEDDLE_SUFFIX"]\nteardown = ["rm {made}/$HEDDLE_SUFFIX", "echo told; exit 3"]\n'
    )
    files = {"a.py": "", "heddle.toml": f"[setup]\n{setup}"}
    repository = make_repository(tmp_path / "repo", files)
    async with heddle(tmp_path, repository, writes("b.txt"), '[sandbox]\ntier = "0"\n') as fleet:
        id = await fleet.start("write b")
        rows = await fleet.until(id, approve=False)
        assert "exit 3" in rows[0]["why"], "it is approved like any other command"
        await fleet.call("inbox.approve", task=id)
        assert (await fleet.until(id))[0]["status"] == "landed"
        await fleet.until_tidy(id)
        failed = [one for one in (await fleet.call("events", task=id))["events"] if one["kind"] == "tear-down-failed"]
        assert len(failed) == len({one["data"]["workspace"] for one in failed}) == 4
        assert failed[0]["data"]["output"].strip() == "told"
        why = await fleet.call("task.why", task=id)
        assert any(line["text"].endswith("failed (exited 3): told") for line in why["timeline"])
        assert list(made.iterdir()) == []


async def test_x7_secrets_are_redacted_where_they_are_shown_and_refused_in_a_result(tmp_path: Path) -> None:
    repository = make_repository(tmp_path / "repo")
    key = "sk-ant-" + "a1b2" * 8
    leak = scene("execute", {"do": "write", "path": "b.txt", "text": key}, {"do": "document", "text": key}, attempt=1)
    research = scene("research", {"do": "say", "text": key}, {"do": "document", "text": f"# Research\n{key}\n"})
    async with heddle(tmp_path, repository, [research, leak, *writes("b.txt")]) as fleet:
        id = await fleet.start("write b")
        rows = await fleet.until(id)
        assert rows[0]["status"] == "landed"
        failed = await fleet.until_kind(id, "stage-failed")
        assert failed["data"]["reason"] == "secret-in-diff"
        assert key not in str(await fleet.call("events"))
        assert key not in (await fleet.call("session.tail", session=f"{id}-1-research-1.1"))["text"]
        assert key not in str(await fleet.house.journal.read_all())


@pytest.mark.parametrize(
    ("step", "slug"),
    [
        ({"do": "err", "how": "garbage"}, "no-evidence"),
        ({"do": "err", "how": "exit"}, "turn-failed"),
        ({"do": "err", "how": "error"}, "turn-failed"),
        ({"do": "err", "how": "flood", "megabytes": 3}, "transcript-limit"),
        ({"do": "err", "how": "hang"}, "stalled"),
    ],
)
async def test_an_agent_that_errs_costs_an_attempt_and_no_more(
    tmp_path: Path, step: dict[str, object], slug: str
) -> None:
    repository = make_repository(tmp_path / "repo")
    config = "[limits]\ntranscript_mb = 1\nstall_s = 1.5\nattempts = 1\n"
    scenes = [scene("execute", step, {"do": "document", "text": "done\n"}), *writes("b.txt")]
    async with heddle(tmp_path, repository, scenes, config) as fleet:
        id = await fleet.start("write b")
        rows = await fleet.until(id)
        assert rows[0]["status"] == "waiting"
        assert (await fleet.until_kind(id, "stage-failed"))["data"]["reason"] == slug
        assert await fleet.house.enclosures.none.live() == ()
        async with asyncio.timeout(20):
            while await fleet.house.enclosures.none.live(boxes=True):
                await asyncio.sleep(0.02)


async def test_a_lost_agent_is_resumed_in_its_workspace(tmp_path: Path) -> None:
    repository = make_repository(tmp_path / "repo")
    lost = scene("execute", {"do": "write", "path": "b.txt", "text": "half"}, {"do": "err", "how": "crash"})
    again = scene(
        "execute",
        {"do": "write", "path": "b.txt", "text": "whole\n"},
        {"do": "document", "text": "d\n"},
        task="was lost",
    )
    async with heddle(tmp_path, repository, [again, lost, *writes("b.txt")]) as fleet:
        id = await fleet.start("write b")
        rows = await fleet.until(id)
        assert rows[0]["status"] == "landed"
        assert (await fleet.kinds(id)).count("session-started") == 4
    assert (repository / "b.txt").read_text() == "whole\n"


FORGETFUL = """
known = acp.Server._obey
def obey(self, id, method, params):
    if method == "session/load":
        return self._error(id, -32002, "no conversation of that name")
    return known(self, id, method, params)
acp.Server._obey = obey
"""


async def test_an_agent_lost_before_it_wrote_its_conversation_down_starts_a_new_one(tmp_path: Path) -> None:
    repository = make_repository(tmp_path / "repo")
    lost = scene("execute", {"do": "write", "path": "b.txt", "text": "half"}, {"do": "err", "how": "crash"})
    again = scene("execute", {"do": "run", "command": 'test "$(cat b.txt)" = half'}, task="was lost")
    again["steps"] += [{"do": "write", "path": "b.txt", "text": "whole\n"}, {"do": "document", "text": "d\n"}]
    write_agent(tmp_path, "forgetful", FORGETFUL)
    async with heddle(tmp_path, repository, [again, lost, *writes("b.txt")]) as fleet:
        id = await fleet.start("write b", agent="forgetful")
        rows = await fleet.until(id)
        assert rows[0]["status"] == "landed"
        kinds = await fleet.kinds(id)
        assert kinds.count("session-started") == 5  # the lost one, the one it could not load, and a new one
        assert kinds.count("workspace-created") == 4
    assert (repository / "b.txt").read_text() == "whole\n"


async def test_a_malformed_plan_is_mended_in_its_session_or_goes_to_the_inbox(tmp_path: Path) -> None:
    repository = make_repository(tmp_path / "repo")
    bad = PLAN.format(path="b.txt").replace('scope = ["b.txt"]', 'scope = ["../b.txt"]')
    mended = scene("plan", {"do": "document", "text": PLAN.format(path="b.txt")}, task="cannot be taken")
    scenes = [mended, scene("plan", {"do": "document", "text": bad}), *writes("b.txt")]
    async with heddle(tmp_path, repository, scenes) as fleet:
        id = await fleet.start("write b")
        assert (await fleet.until(id))[0]["status"] == "landed"
    scenes = [scene("plan", {"do": "document", "text": bad}), *writes("b.txt")]
    async with heddle(tmp_path, repository, scenes, "[limits]\nattempts = 1\n") as fleet:
        id = await fleet.start("write b")
        rows = await fleet.until(id)
        assert rows[0]["status"] == "waiting"
        assert "leads out of the repository" in rows[0]["why"]


async def test_a_red_check_goes_back_with_its_evidence(tmp_path: Path) -> None:
    repository = make_repository(tmp_path / "repo")
    empty = scene("execute", {"do": "write", "path": "b.txt", "text": ""}, {"do": "document", "text": "d\n"}, attempt=1)
    async with heddle(tmp_path, repository, [empty, *writes("b.txt")]) as fleet:
        id = await fleet.start("write b")
        rows = await fleet.until(id)
        assert rows[0]["status"] == "landed"
        assert (await fleet.kinds(id)).count("verdict-reached") == 2


async def test_no_known_check_is_unknown_and_never_green(tmp_path: Path) -> None:
    repository = make_repository(tmp_path / "repo")
    async with heddle(tmp_path, repository, writes("b.txt")) as fleet:
        id = await fleet.start("write b", lane="quick", scope=["b.txt"])
        rows = await fleet.until(id)
        assert rows[0]["status"] == "waiting"
        assert "no check is known" in rows[0]["why"]
    assert not (repository / "b.txt").exists()


ROGUE = "player.Player._denied = lambda self, call, title, paths=None: False"
"""An agent that writes in whatever mode it was put into."""


@pytest.mark.parametrize("tier", ["0", "auto"])
async def test_read_only_stages_leave_nothing_behind_and_it_is_told(tmp_path: Path, tier: str) -> None:
    repository = make_repository(tmp_path / "repo")
    write_agent(tmp_path, "rogue", ROGUE)
    nosy = scene("research", {"do": "read", "path": "a.py"}, {"do": "write", "path": "a.py", "text": "bad\n"})
    nosy["steps"].append({"do": "document", "text": "# Research\n"})
    async with heddle(tmp_path, repository, [nosy, *writes("b.txt")], f'[sandbox]\ntier = "{tier}"\n') as fleet:
        id = await fleet.start("write b", agent="rogue")
        assert (await fleet.until(id))[0]["status"] == "landed"
        assert (await fleet.until_kind(id, "writes-discarded"))["data"] == {"stage": "research", "paths": ["a.py"]}
    assert (repository / "a.py").read_text() == "x = 1\n"


async def test_what_validations_were_made_of_is_let_go_when_the_task_is_over(tmp_path: Path) -> None:
    repository = make_repository(tmp_path / "repo")
    async with heddle(tmp_path, repository, writes("b.txt")) as fleet:
        id = await fleet.start("write b")
        assert (await fleet.until(id))[0]["status"] == "landed"
        async with asyncio.timeout(20):
            while git(repository, "for-each-ref", "refs/heddle/onto", "refs/heddle/candidates"):
                await asyncio.sleep(0.02)
        assert git(repository, "for-each-ref", "refs/heddle/landed")


async def test_two_tasks_land_in_parallel_and_a_conflict_is_planned_anew(tmp_path: Path) -> None:
    repository = make_repository(tmp_path / "repo")
    scenes = writes("b.txt", task="write b") + writes("c.txt", task="write c")
    async with heddle(tmp_path, repository, scenes) as fleet:
        ids = [await fleet.start("write b"), await fleet.start("write c")]
        rows = await fleet.until(*ids)
        assert [row["status"] for row in rows] == ["landed", "landed"]
    assert sorted(path.name for path in repository.glob("*.txt")) == ["b.txt", "c.txt"]


async def test_stop_keeps_the_work_and_restore_brings_it_back(tmp_path: Path) -> None:
    repository = make_repository(tmp_path / "repo")
    half = scene("execute", {"do": "write", "path": "b.txt", "text": "half\n"}, {"do": "ask", "text": "go on?"})
    async with heddle(tmp_path, repository, [half, *writes("b.txt")]) as fleet:
        id = await fleet.start("write b")
        await fleet.until_kind(id, "plan-delivered")
        await fleet.call("inbox.approve", task=id)
        await fleet.until_kind(id, "question-asked")
        await fleet.call("task.stop", task=id)
        await fleet.until_kind(id, "run-stopped")
        assert await fleet.house.enclosures.none.live() == ()
        async with asyncio.timeout(20):
            while await fleet.house.enclosures.none.live(boxes=True):
                await asyncio.sleep(0.02)
        while (await fleet.call("task.show", task=id))["workspaces"]:
            await asyncio.wait_for(fleet.house.journal.wait(fleet.house.journal.position()), 20)
        told = await fleet.call("task.restore", task=id, path=str(tmp_path / "back"))
    assert (Path(told["path"]) / "b.txt").read_text() == "half\n"


async def test_w6_a_removal_whose_fact_was_lost_is_told_with_its_recovery_ref(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    record, lost = Runs.record, [WorkspaceRemoved]

    async def record_but_once(self: Runs, task: str, *events: Event, by: str = "heddle", cause: str = "") -> Run:
        if lost and isinstance(events[0], lost[0]):
            lost.pop()
            raise OutsideError("the journal is busy", slug="journal-busy", hint="wait")
        return await record(self, task, *events, by=by, cause=cause)

    monkeypatch.setattr(Runs, "record", record_but_once)
    monkeypatch.setattr("heddle.engine.fleet.RETRY_S", 0.05)
    repository = make_repository(tmp_path / "repo")
    half = scene("execute", {"do": "write", "path": "b.txt", "text": "half\n"}, {"do": "ask", "text": "go on?"})
    async with heddle(tmp_path, repository, [half, *writes("b.txt")]) as fleet:
        id = await fleet.start("write b", lane="quick", checks=["true"])
        await fleet.until_kind(id, "question-asked")
        await fleet.call("task.stop", task=id)
        removed = await fleet.until_kind(id, "workspace-removed")
        assert not lost
        assert removed["data"]["recovery"] in git(repository, "for-each-ref", "--format=%(refname)")
        assert removed["data"]["recovery"]


async def test_undo_takes_a_landed_task_back_through_validation(tmp_path: Path) -> None:
    repository = make_repository(tmp_path / "repo")
    async with heddle(tmp_path, repository, writes("b.txt")) as fleet:
        id = await fleet.start("write b")
        await fleet.until(id)
        with pytest.raises(UserError, match="no check is known"):
            await fleet.call("task.undo", task=id)
        undone = (await fleet.call("task.undo", task=id, checks=["test ! -e b.txt"]))["id"]
        rows = await fleet.until(undone)
        assert rows[0]["status"] == "landed"
    assert not (repository / "b.txt").exists()


async def test_an_undo_that_does_not_hold_asks_the_person_and_never_starts_an_agent(tmp_path: Path) -> None:
    repository = make_repository(tmp_path / "repo")
    async with heddle(tmp_path, repository, writes("b.txt")) as fleet:
        id = await fleet.start("write b")
        await fleet.until(id)
        undone = (await fleet.call("task.undo", task=id, checks=["test -e b.txt"]))["id"]
        rows = await fleet.until(undone)
        assert rows[0]["status"] == "waiting"
        assert "taking it back does not hold" in rows[0]["why"]
        assert "session-started" not in await fleet.kinds(undone)
    assert (repository / "b.txt").exists()


async def test_w11_a_dirty_checkout_holds_the_landing_and_keeps_every_byte(tmp_path: Path) -> None:
    repository = make_repository(tmp_path / "repo")
    async with heddle(tmp_path, repository, writes("a.py", "x = 2\n")) as fleet:
        id = await fleet.start("change a")
        await fleet.until_kind(id, "plan-delivered")
        (repository / "a.py").write_text("my own words\n")
        rows = await fleet.until(id)
        assert rows[0]["status"] == "waiting"
        assert "a.py" in rows[0]["why"]
        assert (repository / "a.py").read_text() == "my own words\n"
        git(repository, "checkout", "--", "a.py")
        await fleet.call("task.land", task=id)
        assert (await fleet.until(id))[0]["status"] == "landed"
    assert (repository / "a.py").read_text() == "x = 2\n"


@pytest.mark.parametrize(
    ("make", "slug"),
    [
        (lambda path: path.mkdir(), "not-a-repository"),
        (lambda path: (path.mkdir(), git(path, "init", "-q")), "empty-repository"),
        (lambda path: git(make_repository(path), "checkout", "-q", "--detach"), "detached-head"),
        (lambda path: (path.mkdir(), git(path, "init", "-q", "--bare")), "bare-repository"),
    ],
)
async def test_a_folder_that_is_no_place_to_work_is_refused(tmp_path: Path, make: object, slug: str) -> None:
    make(tmp_path / "repo")  # type: ignore[operator]
    async with heddle(tmp_path, tmp_path / "repo", []) as fleet:
        with pytest.raises(UserError) as caught:
            await fleet.start("anything")
        assert caught.value.slug == slug
        assert caught.value.hint
        assert (await fleet.call("board", all=True))["tasks"] == []


async def test_odd_paths_and_a_dirty_checkout_are_no_obstacle(tmp_path: Path) -> None:
    repository = make_repository(tmp_path / "répo with späces")
    (repository / "mine.txt").write_text("untracked\n")
    async with heddle(tmp_path, repository, writes("b.txt")) as fleet:
        id = await fleet.start("write b")
        assert (await fleet.until(id))[0]["status"] == "landed"
    assert (repository / "mine.txt").read_text() == "untracked\n"


async def test_a_missing_agent_fails_with_what_to_do(tmp_path: Path) -> None:
    repository = make_repository(tmp_path / "repo")
    folder = tmp_path / "agents"
    folder.mkdir()
    (folder / "gone.toml").write_text(
        'name = "gone"\nprotocol = "acp"\ncommand = ["no-such-agent"]\nversion_command = ["no-such-agent"]\ninstall = "get it"\n'
    )
    async with heddle(tmp_path, repository, [], "[limits]\nattempts = 1\n") as fleet:
        id = await fleet.start("anything", agent="gone")
        rows = await fleet.until(id)
        assert rows[0]["status"] == "waiting"
        assert "cannot be started" in rows[0]["why"]
        with pytest.raises(Exception, match="there is no agent 'nobody'"):
            await fleet.start("anything", agent="nobody")


async def test_a_corrupt_configuration_is_named_with_what_was_meant(tmp_path: Path) -> None:
    repository = make_repository(tmp_path / "repo", {"heddle.toml": "[checks]\ncomands = []\n"})
    async with heddle(tmp_path, repository, []) as fleet:
        with pytest.raises(Exception, match="unknown key 'checks.comands'") as caught:
            await fleet.start("anything")
        assert "checks.commands" in caught.value.hint  # type: ignore[attr-defined]


async def test_a_repository_that_went_away_is_a_named_problem(tmp_path: Path) -> None:
    repository = make_repository(tmp_path / "repo")
    async with heddle(tmp_path, repository, writes("b.txt")) as fleet:
        id = await fleet.start("write b")
        await fleet.until_kind(id, "plan-delivered")
        shutil.rmtree(repository)
        await fleet.call("inbox.approve", task=id)
        rows = await fleet.until(id)
        assert rows[0]["status"] == "waiting"
        assert str(repository) in rows[0]["why"]


async def test_w6_the_next_daemon_goes_on_with_the_session_that_lives(tmp_path: Path) -> None:
    repository = make_repository(tmp_path / "repo")
    asks = scene(
        "execute",
        {"do": "ask", "text": "Which?", "options": ["x", "y"], "default": "x"},
        {"do": "write", "path": "b.txt", "text": "{answer}\n"},
        {"do": "document", "text": "d\n"},
    )
    async with heddle(tmp_path, repository, [asks, *writes("b.txt")], leave=True) as fleet:
        id = await fleet.start("write b")
        await fleet.until_kind(id, "plan-delivered")
        await fleet.call("inbox.approve", task=id)
        await fleet.until_kind(id, "question-asked")
    async with heddle(tmp_path, repository, [asks, *writes("b.txt")]) as fleet:
        rows = await fleet.until(id)
        assert rows[0]["status"] == "landed"
        kinds = await fleet.kinds(id)
        assert kinds.count("question-asked") == kinds.count("question-answered") == 1
    started = list((Path(os.environ["HEDDLE_HOME"]) / "holders").glob("T*execute*/started.json"))
    assert len(started) == 1


async def test_x7_values_of_included_files_are_shown_nowhere_and_land_nowhere(tmp_path: Path) -> None:
    files = {"a.py": "", ".gitignore": ".env\n", ".worktreeinclude": ".env\n"}
    repository = make_repository(tmp_path / "repo", files)
    (repository / ".env").write_text("DB_PASSWORD=correct-horse\nMODE=development\n")
    look = {"do": "run", "command": "cat .env; echo development"}
    leak = scene(
        "execute", look, {"do": "run", "command": "cp .env b.txt"}, {"do": "document", "text": "correct-horse"}
    )
    leak["attempt"] = 1
    show = scene(
        "execute", {"do": "write", "path": "b.txt", "text": "fine\n"}, {"do": "document", "text": "correct-horse"}
    )
    plan = '+++\nscope = ["b.txt"]\nchecks = ["cat .env"]\n+++\n# Plan\n'
    scenes = [scene("research", look, {"do": "document", "text": "it is correct-horse\n"}), leak, show]
    async with heddle(tmp_path, repository, [*scenes, scene("plan", {"do": "document", "text": plan})]) as fleet:
        id = await fleet.start("write b")
        assert (await fleet.until(id))[0]["status"] == "landed", await fleet.call("events", task=id)
        failed = await fleet.until_kind(id, "stage-failed")
        assert failed["data"]["reason"] == "secret-in-diff"
        for session in (f"{id}-1-research-1.1", f"{id}-1-execute-1.1", f"{id}-1-validate-1.check-1"):
            text = (await fleet.call("session.tail", session=session))["text"]
            assert "correct-horse" not in text
            assert "development" in text, "what is no secret stays"
        assert "correct-horse" not in str(await fleet.house.journal.read_all())


async def test_x7_no_journal_line_holds_a_secret_that_an_agent_said(tmp_path: Path) -> None:
    repository = make_repository(tmp_path / "repo")
    key = "ghp_" + "a1B2" * 9
    said = scene("research", {"do": "document", "text": f"# Research\n{key}\n"})
    async with heddle(tmp_path, repository, [said, *writes("b.txt")]) as fleet:
        id = await fleet.start("write b")
        await fleet.until_kind(id, "research-delivered")
        assert key not in str(await fleet.house.journal.read_all())


async def test_w7_an_agent_that_makes_no_progress_is_ended_and_its_work_is_kept(tmp_path: Path) -> None:
    repository = make_repository(tmp_path / "repo")
    hangs = scene("execute", {"do": "write", "path": "b.txt", "text": "half\n"}, {"do": "err", "how": "hang"})
    async with heddle(
        tmp_path, repository, [hangs, *writes("b.txt")], "[limits]\nstall_s = 1.0\nattempts = 1\n"
    ) as fleet:
        id = await fleet.start("write b")
        rows = await fleet.until(id)
        assert "no progress" in rows[0]["why"]
        await fleet.call("inbox.reject", task=id, reason="enough")
        removed = await fleet.until_kind(id, "run-stopped")
        assert removed
        while (await fleet.call("task.show", task=id))["workspaces"]:
            await asyncio.wait_for(fleet.house.journal.wait(fleet.house.journal.position()), 20)
        told = await fleet.call("task.restore", task=id, path=str(tmp_path / "back"))
    assert (Path(told["path"]) / "b.txt").read_text() == "half\n"


async def test_a_fact_that_comes_while_the_fleet_looks_is_looked_at_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two plans that meet are approved in the same moment: the second must still see that the first one writes."""
    repository = make_repository(tmp_path / "repo")
    slow = scene("execute", {"do": "ask", "text": "go?"}, {"do": "write", "path": "b.txt", "text": "x\n"})
    slow["steps"].append({"do": "document", "text": "d\n"})
    async with heddle(tmp_path, repository, [slow, *writes("b.txt")]) as fleet:
        first, second = await fleet.start("write b"), await fleet.start("write b too")
        for id in (first, second):
            await fleet.until_kind(id, "plan-delivered")
            while (await fleet.call("task.show", task=id))["workspaces"]:
                await asyncio.wait_for(fleet.house.journal.wait(fleet.house.journal.position()), 20)
        look = Worlds.world

        async def late(self: Worlds, run: Run) -> World:
            world = await look(self, run)
            if run.task.id == second and isinstance(run.activity, AtGate) and not run.workspaces:
                await fleet.call("inbox.approve", task=second)
            return world

        monkeypatch.setattr(Worlds, "world", late)
        await fleet.call("inbox.approve", task=first)
        await fleet.until_kind(first, "question-asked")
        assert (await fleet.call("task.why", task=second))["slug"] == "overlap"
        assert (await fleet.kinds(second)).count("stage-started") == 2


@pytest.mark.parametrize("which", ["min", "max"])
async def test_w9_a_task_with_an_unreadable_fact_is_unknown_and_hides_no_other(tmp_path: Path, which: str) -> None:
    repository = make_repository(tmp_path / "repo")
    async with heddle(tmp_path, repository, writes("b.txt")) as fleet:
        id = await fleet.start("write b")
        await fleet.until(id, approve=False)
    path = Path(os.environ["HEDDLE_HOME"]) / "journal.db"
    with sqlite3.connect(path) as database:
        database.execute(
            f"UPDATE events SET version = 99 WHERE position = (SELECT {which}(position) FROM events"
            " WHERE stream = 'task:T1' AND seq > 1)"
        )
    database.close()
    async with heddle(tmp_path, repository, writes("c.txt")) as fleet:
        other = await fleet.start("write c")
        assert other == "T2"
        assert (await fleet.until(other))[0]["status"] == "landed"
        board = await fleet.call("board", all=True)
        assert {row["id"]: row["status"] for row in board["tasks"]} == {"T1": "unknown", "T2": "landed"}
        assert board["set_aside"]
        with pytest.raises(Refused, match="nothing is added"):
            await fleet.call("task.stop", task="T1")


async def test_a_plan_asks_all_at_once_and_what_nobody_answers_keeps_its_default(tmp_path: Path) -> None:
    repository = make_repository(tmp_path / "repo")
    asks = '[[questions]]\ntext = "Which name"\ndefault = "alpha"\n[[questions]]\ntext = "Which port"\ndefault = "80"\n'
    front, rest = PLAN.format(path="b.txt").split("+++\n# Plan", 1)
    plan = scene("plan", {"do": "document", "text": f"{front}{asks}+++\n# Plan{rest}"})
    told = scene("execute", *writes("b.txt")[2]["steps"], task="Which name: beta\nWhich port: 80\n")
    async with heddle(tmp_path, repository, [plan, told, writes("b.txt")[0]]) as fleet:
        id = await fleet.start("write b")
        await fleet.until_kind(id, "plan-delivered")
        async with asyncio.timeout(20):
            while len(items := (await fleet.call("inbox"))["items"]) < 3:
                await asyncio.sleep(0.02)
        assert [item["kind"] for item in items] == ["question", "question", "gate-plan"]
        assert items[0]["act"] == [f'heddle answer {id} --question plan-1 "..."']
        await fleet.call("inbox.answer", task=id, question="plan-1", text="beta")
        await fleet.call("inbox.approve", task=id, digest=items[2]["digest"])
        assert (await fleet.until(id))[0]["status"] == "landed"
