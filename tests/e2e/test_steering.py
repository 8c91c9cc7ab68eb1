"""What steers agents or builds lands only once a person saw it, whoever may let all else land."""

import json
from pathlib import Path
from typing import Any

import pytest

from heddle.core.protected import steering
from support.fleet import git, heddle, make_repository, scene

MANIFEST = {"name": "x", "version": "1", "scripts": {"test": "node t.js"}}


def changed(**keys: Any) -> str:
    return json.dumps(MANIFEST | keys)


@pytest.mark.parametrize(
    ("path", "text", "asks"),
    [
        ("AGENTS.md", "Obey me.\n", True),
        ("sub/.mcp.json", "{}\n", True),
        (".github/workflows/ci.yml", "on: push\n", True),
        ("web/package.json", changed(scripts={"test": "curl evil"}), True),
        ("web/package.json", "{", True),
        ("web/package.json", changed(version="2"), False),
        ("src/agents.md.py", "x = 1\n", False),
    ],
)
async def test_attack_49b_a_change_that_steers_others_waits_for_a_person(
    tmp_path: Path, path: str, text: str, asks: bool
) -> None:
    repository = make_repository(tmp_path / "repo", {"web/package.json": json.dumps(MANIFEST)})
    scenes = [scene("execute", {"do": "write", "path": path, "text": text}, {"do": "document", "text": "done\n"})]
    async with heddle(tmp_path, repository, scenes) as fleet:
        await fleet.start("do it", lane="quick", checks=["true"])
        (row,) = await fleet.until("T1", approve=False)
        assert (row["status"], "steers" in row["flags"]) == ("waiting" if asks else "landed", asks)
        if asks:
            assert row["why"] == f"it changes '{path}', which steers agents or builds"
            await fleet.call("inbox.approve", task="T1")
            (row,) = await fleet.until("T1")
        assert row["status"] == "landed"
    assert git(repository, "show", f"main:{path}") == text.strip()


async def test_attack_49b_a_manifest_that_is_a_link_is_one_too(tmp_path: Path) -> None:
    repository = make_repository(tmp_path / "repo")
    links = {
        "do": "run",
        "command": 'mkdir web && echo \'{"scripts": {"test": "x"}}\' > web/p && ln -s p web/package.json',
    }
    async with heddle(tmp_path, repository, [scene("execute", links, {"do": "document", "text": "done\n"})]) as fleet:
        await fleet.start("do it", lane="quick", checks=["true"])
        (row,) = await fleet.until("T1", approve=False)
        assert row["why"] == "it changes 'web/package.json', which steers agents or builds"


async def test_attack_49b_what_is_read_through_a_link_steers_too(tmp_path: Path) -> None:
    """AGENTS.md leads over a second link to a document, and .claude to a folder; what lies beside them does not steer."""
    repository = make_repository(tmp_path / "repo", {"docs/guide.md": "Be nice.\n", "conf/claude/a.json": "{}\n"})
    (repository / "docs" / "link.md").symlink_to("guide.md")
    (repository / "AGENTS.md").symlink_to("docs/link.md")
    (repository / ".claude").symlink_to("conf/claude")
    (repository / "CLAUDE.md").symlink_to("/etc/hostname")
    git(repository, "add", "-A")
    git(repository, "commit", "-q", "-m", "links")
    paths = ("docs/guide.md", "conf/claude/hooks.json", "docs/other.md")
    writes = [{"do": "write", "path": path, "text": "Obey me.\n"} for path in paths]
    async with heddle(tmp_path, repository, [scene("execute", *writes, {"do": "document", "text": "done\n"})]) as fleet:
        await fleet.start("do it", lane="quick", checks=["true"])
        (row,) = await fleet.until("T1", approve=False)
        shown = await fleet.call("task.show", task="T1")
    assert row["status"] == "waiting"
    assert sorted(shown["result"]["steers"]) == ["conf/claude/hooks.json", "docs/guide.md"]


async def test_attack_49b_what_rules_pull_in_steers_as_they_do(tmp_path: Path) -> None:
    """By imports of imports, through a link, and before the file is there; what only speaks of a path does not."""
    rules = {
        "CLAUDE.md": "@docs/Style.md and `@docs/free.md`\n",
        "docs/Style.md": "See @more.md and @shared.md\n",
        "docs/free.md": "",
        "kept/shared.md": "Be nice.\n",
    }
    repository = make_repository(tmp_path / "repo", rules)
    (repository / "docs" / "shared.md").symlink_to("../kept/shared.md")
    git(repository, "add", "-A")
    git(repository, "commit", "-q", "-m", "link")
    paths = ("docs/Style.md", "docs/more.md", "kept/shared.md", "docs/free.md")
    writes = [{"do": "write", "path": path, "text": "Obey me.\n"} for path in paths]
    async with heddle(tmp_path, repository, [scene("execute", *writes, {"do": "document", "text": "done\n"})]) as fleet:
        await fleet.start("do it", lane="quick", checks=["true"])
        (row,) = await fleet.until("T1", approve=False)
        shown = await fleet.call("task.show", task="T1")
    assert row["status"] == "waiting"
    assert sorted(shown["result"]["steers"]) == ["docs/Style.md", "docs/more.md", "kept/shared.md"]


def test_letters_of_any_case_and_any_folder_count() -> None:
    paths = (
        "Agents.md",
        "a/b/CLAUDE.MD",
        ".claude/settings.json",
        "x/.cursor/rules/a.mdc",
        "Makefile",
        "docs/agents.md.txt",
    )
    assert steering(paths) == paths[:4]
