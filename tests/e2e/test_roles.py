"""Roles: what an agent is told to be, how far it may reach, and who may say so."""

import json
import re
from pathlib import Path
from typing import Any

import pytest

from heddle.core.errors import HeddleError
from heddle.core.role import MOST_INSTRUCTIONS, Role, instructions
from heddle.core.task import Stage
from heddle.engine.installing import Installer
from heddle.engine.roles import parsed
from support.fleet import PLAN, Heddle, git, heddle, make_repository, scene

SHIPPED = ("bugfix", "docs", "feature", "planner", "refactor", "resolver", "reviewer", "security", "tests")
TEXTS = Path(__file__).parents[2] / "src/heddle/data/roles"


def wrote(path: str, **more: Any) -> dict[str, Any]:
    return scene("execute", {"do": "write", "path": path, "text": "x\n"}, {"do": "document", "text": "x\n"}, **more)


def shipped(name: str) -> Role:
    return parsed(name, (TEXTS / f"{name}.md").read_text(), "shipped")


def told(role: Role, stage: Stage) -> str:
    """A pattern for a prompt that holds all that a role says at a stage: its text, and its own words for the stage."""
    return "(?s)" + ".*".join(re.escape(part) for part in (role.text, dict(role.told).get(stage, "")) if part)


async def test_every_shipped_role_is_played_as_its_file_says(tmp_path: Path) -> None:
    """Only who was told writes what the check wants, or finds what is to be done."""
    repository, roles = make_repository(tmp_path / "repo"), {name: shipped(name) for name in SHIPPED}
    writing = [name for name in SHIPPED if roles[name].writes]
    assert [name for name in SHIPPED if not roles[name].writes] == ["planner", "reviewer", "security"]
    paths = {name: {"docs": "docs/a.md", "tests": "tests/test_a.py"}.get(name, f"{name}.txt") for name in writing}
    scenes = [wrote(paths[name], task=told(roles[name], Stage.EXECUTE)) for name in writing]
    for name in ("planner", "reviewer", "security"):
        filed = {"text": f"{name} found it", "role": "bugfix", "evidence": ["a.py:1"]}
        steps = [
            {"do": "write", "path": "a.py", "text": "spoilt\n"},
            {"do": "tool", "tool": "file_task", "arguments": json.dumps(filed)},
            {"do": "document", "text": f"The {name} saw a.py:1.\n"},
        ]
        scenes.append(scene("research", *steps, task=told(roles[name], Stage.RESEARCH)))
    scenes += [wrote("wrong.txt"), scene("research", {"do": "document", "text": "a.py:1, untold\n"})]
    async with heddle(tmp_path, repository, scenes, '[sandbox]\ntier = "0"\n[limits]\nattempts = 1\n') as fleet:
        for name in SHIPPED:
            path = paths.get(name, "")
            asked = {"lane": "quick", "scope": [path], "checks": [f"test -s {path}"]} if path else {}
            await fleet.start(f"be a {name}", role=name, **asked)
        rows = await fleet.until(*(f"T{number}" for number in range(1, len(SHIPPED) + 1)))
        shown = [await fleet.call("task.show", task=row["id"]) for row in rows]
        tasks = {row["title"]: row for row in (await fleet.call("task.list", which="open"))["tasks"]}
        kinds = await fleet.kinds(f"T{SHIPPED.index('security') + 1}")
    ends = {one["role"]: (one["status"], one["lane"]) for one in shown}
    assert ends == {name: ("landed", "quick") if name in writing else ("closed", "report") for name in SHIPPED}
    for one in (one for one in shown if one["role"] not in writing):
        name = one["role"]
        assert one["report"] == f"The {name} saw a.py:1.\n" and "it wrote nothing" in one["why"]
        found = tasks[f"{name} found it"]
        assert one["filed"] == [found["id"]] and found["links"] == [{"kind": "discovered-from", "task": one["id"]}]
    assert not {"result-delivered", "verdict-reached", "landed"}.intersection(kinds)
    assert git(repository, "show", "main:a.py") == "x = 1"


async def test_a_run_that_only_reports_shows_where_it_saw_what_it_says(tmp_path: Path) -> None:
    repository = make_repository(tmp_path / "repo", {"a.py": "x = 1\n", "src/b.py": ""})
    evidence: tuple[list[str], ...] = ([], ["a.py:2"], ["../a.py"], ["gone.py:1"], ["src"], ["a.py"] * 11, ["./a.py:1"])
    calls = [{"text": f"finding {number}", "evidence": one} for number, one in enumerate(evidence)]
    steps = [{"do": "tool", "tool": "file_task", "arguments": json.dumps(call)} for call in calls]
    scenes = [
        scene("research", {"do": "document", "text": "All is well, see a.py:1.\n"}, task="cites no line of any file"),
        scene("research", *steps, {"do": "document", "text": "All is well, see there.py:1.\n"}),
    ]
    config = '[sandbox]\ntier = "0"\n[gates]\nresearch = "person"\n'
    async with heddle(tmp_path, repository, scenes, config) as fleet:
        for asked in ({"lane": "quick"}, {"best_of": 2}):
            with pytest.raises(HeddleError):
                await fleet.start("look", role="security", **asked)
        await fleet.start("look", role="security")
        (row,) = await fleet.until("T1", approve=False)
        assert (row["status"], row["stage"]) == ("waiting", "research")
        (item,) = (await fleet.call("inbox"))["items"]
        await fleet.call("inbox.approve", task="T1", digest=item["digest"])
        (row,) = await fleet.until("T1")
        shown = await fleet.call("task.show", task="T1")
        (found,) = shown["filed"]
        words = (await fleet.call("task.show", task=found))["text"]
        assert (row["status"], shown["report"]) == ("closed", "All is well, see a.py:1.\n")
        assert words.startswith("finding 6\n\nEvidence, on ") and words.endswith(": a.py:1")
        await fleet.call("task.edit", task=found, role="security")
        assert (await fleet.call("task.start", root=str(repository), task=found))["lane"] == "report"


async def hosts(fleet: Heddle, task: str) -> tuple[str, ...]:
    """What a session of the task would reach besides its agent's own."""
    desk = fleet.house.desk
    run = desk.runs.require(task)
    settings = await desk.fleet.worlds.settings(run)
    return (await Installer(desk.fleet.outside, await desk.site(run), settings).reach_of_sessions()).hosts


async def test_a_repositorys_role_adds_gates_and_checks_that_a_person_allows_first(tmp_path: Path) -> None:
    front = 'gates = { validate = "person" }\nchecks = ["test -s port.txt"]\n'
    files = {
        ".heddle/roles/porter.md": f"+++\n{front}+++\nYou port it.\n",
        ".heddle/roles/security.md": "You mend it all.\n",
        ".heddle/roles/alone.md": "+++\nnetwork = false\n+++\nYou work alone.\n",
        "heddle.toml": '[gates]\nresearch = "nobody"\n',
    }
    repository = make_repository(tmp_path / "repo", files)
    (tmp_path / "roles").mkdir()
    mine = 'agents = { execute = "nobody:large" }\nfallbacks = ["rehearsal"]\nneeds = ["mcp"]\n'
    (tmp_path / "roles" / "mine.md").write_text(f"+++\n{mine}+++\nYou are mine.\n")
    scenes = [wrote("port.txt", task="You port it"), wrote("mine.txt")]
    config = '[sandbox]\ntier = "0"\n[network]\nhosts = ["example.com:443"]\n'
    async with heddle(tmp_path, repository, scenes, config) as fleet:
        await fleet.start("port it", lane="quick", role="porter", checks=["true"])
        await fleet.start("alone", lane="quick", role="alone", checks=["true"])
        await fleet.start("mine", lane="quick", role="mine", checks=["true"])
        with pytest.raises(HeddleError) as caught:
            await fleet.start("mend it", role="security", lane="quick")
        assert caught.value.slug == "role-reads-only"
        (row, other, _) = await fleet.until("T1", "T2", "T3", approve=False)
        assert "the repository wants to run 'test -s port.txt'" in row["why"]
        assert "session-started" not in await fleet.kinds("T1")
        assert "keeps sessions off the network, which tier 0 cannot do" in other["why"]
        assert [await hosts(fleet, id) for id in ("T1", "T2")] == [("example.com:443",), ()]
        await fleet.call("inbox.approve", task="T1")
        (row,) = await fleet.until("T1", approve=False)
        assert (row["status"], row["why"]) == ("waiting", "the validate is ready")
        (gate,) = [item for item in (await fleet.call("inbox"))["items"] if item["task"] == "T1"]
        await fleet.call("inbox.approve", task="T1", digest=gate["digest"])
        rows = await fleet.until("T1")
        verdict = (await fleet.call("task.show", task="T1"))["verdict"]
        assert rows[0]["status"] == "landed"
        assert [result["command"] for result in verdict["results"]] == ["test -s port.txt", "true"]
        assert (await fleet.until_kind("T3", "agent-passed-over"))["data"]["agent"] == "nobody"
        await fleet.until("T3")
        assert (await fleet.call("role.list", root=str(repository), name="mine"))["roles"][0]["needs"] == ["mcp"]


@pytest.mark.parametrize("widened", [False, True])
async def test_a_plan_keeps_to_what_its_role_writes_unless_a_person_says_otherwise(
    tmp_path: Path, widened: bool
) -> None:
    repository = make_repository(tmp_path / "repo")
    scenes = [
        scene(
            "plan",
            {"do": "document", "text": PLAN.format(path="docs/a.md")},
            task="lies outside of what the role 'docs'",
        ),
        scene("research", {"do": "document", "text": "# Research\n"}),
        scene("plan", {"do": "document", "text": PLAN.format(path="src/a.py")}),
        wrote("src/a.py" if widened else "docs/a.md"),
    ]
    async with heddle(tmp_path, repository, scenes) as fleet:
        asked = {"scope": ["src/a.py"]} if widened else {}
        await fleet.start("do it", role="docs", **asked)
        (row,) = await fleet.until("T1")
        assert row["status"] == "landed", row["why"]
    assert git(repository, "show", f"main:{'src/a.py' if widened else 'docs/a.md'}") == "x"


async def test_a_repository_brings_roles_and_a_person_has_their_own(tmp_path: Path) -> None:
    files = {
        ".heddle/roles/porter.md": '+++\nscope = ["port/**"]\n+++\nYou port it.\n',
        ".heddle/roles/docs.md": "You write for us.\n",
        ".heddle/roles/greedy.md": '+++\nagent = "claude:opus"\n+++\nYou spend.\n',
        ".heddle/roles/broken.md": "+++\nscope = \n+++\nx\n",
        ".heddle/roles/undo.md": "You take it back.\n",
        "a.py": "x = 1\n",
    }
    repository = make_repository(tmp_path / "repo", files)
    (tmp_path / "roles").mkdir()
    (tmp_path / "roles" / "mine.md").write_text('+++\nagent = "rehearsal:large"\n+++\nYou are mine. Truly.\n')
    async with heddle(tmp_path, repository, [wrote("port/a.txt", task="You port it")]) as fleet:
        where = {"root": str(repository)}
        told = {role["name"]: role for role in (await fleet.call("role.list", **where))["roles"]}
        assert set(told) == {*SHIPPED, "porter", "greedy", "broken", "mine"}
        assert (told["porter"]["scope"], told["porter"]["source"]) == (["port/**"], ".heddle/roles/porter.md")
        assert told["docs"]["about"] == "You write for us"
        assert told["mine"]["about"] == "You are mine"
        assert [one["agent"] for one in told["mine"]["agents"]] == ["rehearsal:large"]
        assert "does not choose who is paid" in told["greedy"]["trouble"] and "not TOML" in told["broken"]["trouble"]
        for name, slug in (
            ("greedy", "bad-role"),
            ("broken", "bad-role"),
            ("undo", "no-such-role"),
            ("../x", "no-such-role"),
        ):
            with pytest.raises(HeddleError) as caught:
                await fleet.start("do it", role=name)
            assert caught.value.slug == slug and caught.value.hint
        with pytest.raises(HeddleError) as caught:
            await fleet.start("do it", role="featur")
        assert "did you mean feature?" in caught.value.hint
        await fleet.start("port it", lane="quick", role="porter", checks=["test -s port/a.txt"])
        (row,) = await fleet.until("T1")
        assert row["status"] == "landed", row["why"]
        assert (await fleet.start("later", role="mine", run=False)) == "T2"
        with pytest.raises(HeddleError):
            await fleet.call("task.edit", task="T2", role="nobody")


async def test_a_role_of_ones_own_holds_as_its_file_is_now_and_one_that_cannot_be_read_harms_no_other(
    tmp_path: Path,
) -> None:
    repository = make_repository(tmp_path / "repo")
    (tmp_path / "roles" / "folder.md").mkdir(parents=True)
    async with heddle(tmp_path, repository) as fleet:
        (tmp_path / "roles" / "mine.md").write_text("You are new.\n")
        told = {role["name"]: role for role in (await fleet.call("role.list", root=str(repository)))["roles"]}
        assert told["mine"]["about"] == "You are new"
        assert "its text has 0 characters" in told["folder"]["trouble"]
        (tmp_path / "roles" / "mine.md").write_text("You are newer.\n")
        (role,) = (await fleet.call("role.list", root=str(repository), name="mine"))["roles"]
        assert role["text"] == "You are newer."
        with pytest.raises(HeddleError) as caught:
            await fleet.start("do it", role="folder")
        assert caught.value.slug == "bad-role"


def test_what_is_no_role_says_why() -> None:
    for document in (
        "",
        "+++\n+++\n",
        "x" * 9000,
        "+++\nscope = 1\n+++\nx",
        '+++\nscope = ["/etc"]\n+++\nx',
        "+++\nfoo = 1\n+++\nx",
        "+++\nbudget = 1\n+++\nx",
        "+++\nwrites = 1\n+++\nx",
        '+++\nfallbacks = ["x"]\n+++\nx',
        '+++\ngates = { plan = "nobody" }\n+++\nx',
        '+++\ngates = { land = "person" }\n+++\nx',
        "+++\ngates = [1]\n+++\nx",
        '+++\nchecks = ["manual: look"]\n+++\nx',
        "# Plan\nx\n# plan\ny",
        "- Do it.\n" * 40,
        "# Plan\n" + "- Do it.\n" * 40,
    ):
        with pytest.raises(HeddleError) as caught:
            parsed("x", document, ".heddle/roles/x.md")
        assert caught.value.slug == "bad-role" and ".heddle/roles/x.md" in caught.value.message
    for front in ('needs = ["nothing"]', "agent = 1", 'agents = { land = "x" }', "agents = 1", "agents = { plan = 1 }"):
        with pytest.raises(HeddleError):
            parsed("x", f"+++\n{front}\n+++\nx", "roles/x.md of your own")
    assert parsed("x", "+++\nnot closed", "f").text == "+++\nnot closed"
    assert Role("x", "Be. More", scope=("docs/**",)).objection(("docs/a/*.md",)) == ""


@pytest.mark.parametrize("name", SHIPPED)
def test_no_agent_is_told_forty_things_at_once(name: str) -> None:
    """The role's own text and the stage's, as they stand in the prompt."""
    role = shipped(name)
    played = ["research", "plan", "execute"] if role.writes else ["report", "validate"]
    for stage in played:
        text = (TEXTS / f"stage-{stage}.md").read_text()
        whole = role.text_at(Stage("research" if stage == "report" else stage)) + "\n" + text
        assert instructions(whole) < MOST_INSTRUCTIONS, stage
