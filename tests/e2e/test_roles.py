"""Roles: what an agent is told to be, how far it may reach, and who may say so."""

import re
from pathlib import Path
from typing import Any

import pytest

from heddle.core.errors import HeddleError
from heddle.core.role import Role
from heddle.engine.roles import parsed
from support.fleet import PLAN, git, heddle, make_repository, scene

SHIPPED = ("bugfix", "docs", "feature", "planner", "refactor", "resolver", "reviewer", "security", "tests")
TEXTS = Path(__file__).parents[2] / "src/heddle/data/roles"


def wrote(path: str, **more: Any) -> dict[str, Any]:
    return scene("execute", {"do": "write", "path": path, "text": "x\n"}, {"do": "document", "text": "x\n"}, **more)


@pytest.mark.parametrize("name", SHIPPED)
async def test_an_agent_is_told_the_role_that_it_has(tmp_path: Path, name: str) -> None:
    """Only who was told writes what the check wants."""
    repository, role = make_repository(tmp_path / "repo"), parsed(name, (TEXTS / f"{name}.md").read_text(), "shipped")
    path = {"docs": "docs/a.md", "tests": "tests/test_a.py"}.get(name, "a.txt")
    scenes = [wrote(path, task=re.escape(role.text.partition("\n")[0])), wrote("wrong.txt")]
    async with heddle(tmp_path, repository, scenes) as fleet:
        await fleet.start("do it", lane="quick", role=name, checks=[f"test -s {path}"])
        (row,) = await fleet.until("T1")
        assert row["status"] == "landed", row["why"]
        assert (await fleet.call("task.show", task="T1"))["role"] == name


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
        assert told["mine"]["about"] == "You are mine" and told["mine"]["agent"] == "rehearsal"
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
        run = fleet.house.desk.runs.require("T2")
    assert (run.task.agent, run.task.model) == ("rehearsal", "large")


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
    ):
        with pytest.raises(HeddleError) as caught:
            parsed("x", document, ".heddle/roles/x.md")
        assert caught.value.slug == "bad-role" and ".heddle/roles/x.md" in caught.value.message
    assert parsed("x", "+++\nnot closed", "f").text == "+++\nnot closed"
    assert Role("x", "Be. More", ("docs/**",)).objection(("docs/a/*.md",)) == ""
