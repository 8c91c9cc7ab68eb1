"""`heddle rules` on real repositories, through the API as a front end asks."""

import os
from pathlib import Path

import pytest

from heddle.core.errors import HeddleError, Refused, UserError
from heddle.core.rules.block import BEGIN, END
from heddle.core.rules.files import MOST_FILES
from support.fleet import git, heddle, make_repository, writes

pytestmark = pytest.mark.asyncio

CONFIG = '[checks]\ncommands = ["make test"]\n[setup]\ncommands = ["make deps"]\n'
RULES = "# Rules\n\n- Test: `make test`\n- See [the guide](docs/guide.md) and `src/app/main_loop.py`.\n"
FILES: dict[str, str | bytes] = {
    "AGENTS.md": RULES,
    "CLAUDE.md": "@AGENTS.md\n",
    "Makefile": "test deps:\n\ttrue\n",
    "docs/guide.md": "guide\n",
    "src/app/main_loop.py": "x = 1\n",
    "heddle.toml": CONFIG,
    ".gitignore": "dist/\nCLAUDE.local.md\n",
}


def files(**changed: str | bytes) -> dict[str, str | bytes]:
    return FILES | {name.replace("__", "/") + (".md" if name.isupper() else ""): text for name, text in changed.items()}


def found(told: dict[str, object]) -> list[str]:
    return [f"{one['path']}:{one['line']} {one['slug']}" for one in told["findings"] if one["slug"] != "gap"]  # type: ignore[attr-defined]


def state(repository: Path) -> tuple[dict[str, bytes], str]:
    """Every file outside of .git, and what git says of the checkout."""
    held = {}
    for folder, _, names in os.walk(repository):
        for path in (Path(folder) / name for name in names if ".git" not in Path(folder).parts):
            held[str(path)] = os.readlink(path).encode() if path.is_symlink() else path.read_bytes()
    return held, git(repository, "status", "--porcelain=v1") + git(repository, "stash", "list")


async def test_a_sound_repository_has_no_findings_and_checking_changes_nothing(tmp_path: Path) -> None:
    repository = make_repository(tmp_path / "repo", FILES)
    before = state(repository)
    async with heddle(tmp_path, repository) as fleet:
        told = await fleet.call("rules.check", root=str(repository / "src"), agents=["claude", "codex"])
    assert found(told) == ["AGENTS.md:0 no-block"]
    assert told["schema"] == "heddle.rules/1"
    assert {one["agent"] for one in told["agents"]} == {"claude", "codex"}
    assert [one["path"] for one in told["loads"]] == ["CLAUDE.md", "AGENTS.md", "AGENTS.md"]
    assert state(repository) == before


async def test_what_is_wrong_is_found_in_the_checkout_as_it_is_now(tmp_path: Path) -> None:
    repository = make_repository(tmp_path / "repo", FILES)
    (repository / "AGENTS.md").write_text(
        RULES + "- Run `make tset`.\n- [x](docs/no.md)\n- `src/app/other_loop.py`\n- `dist/out.js`\n- Python 3.11+\n"
    )
    (repository / "GEMINI.md").write_text("@AGENTS.md\n@docs/lost.md\n- Test: `pytest`\n- Python >= 3.12\n")
    async with heddle(tmp_path, repository) as fleet:
        told = await fleet.call("rules.check", root=str(repository), agents=["agy"])
        named = await fleet.call("rules.check", root=str(repository))
    assert found(told) == [
        "GEMINI.md:2 dead-import",
        "AGENTS.md:0 loaded-twice",
        "AGENTS.md:3 stated-differently",
        "AGENTS.md:5 dead-command",
        "AGENTS.md:6 dead-path",
        "AGENTS.md:7 dead-path",
        "AGENTS.md:9 stated-differently",
        "AGENTS.md:0 no-block",
    ]
    assert "GEMINI.md:3 as 'pytest'" in next(one["text"] for one in told["findings"] if one["line"] == 3)
    assert told["score"] < 100 and any(reason.startswith("-") for reason in told["reasons"])
    assert {"claude", "gemini"} <= {one["agent"] for one in named["agents"]}, "the repository addresses them"


async def test_bad_input_is_told_and_never_followed(tmp_path: Path) -> None:
    repository = make_repository(tmp_path / "repo", files(AGENTS=b"\xff\xfe not text"))
    (tmp_path / "outside.md").write_text("secret\n")
    (repository / "CLAUDE.md").unlink()
    (repository / "CLAUDE.md").symlink_to(tmp_path / "outside.md")
    (repository / "GEMINI.md").symlink_to("GEMINI.md")
    (repository / "docs/AGENTS.md").mkdir()
    (repository / "src/AGENTS.md").write_bytes(b"x" * 1_500_000)
    (repository / "src/app/CLAUDE.md").symlink_to(repository / ".git/config")
    (repository / "src/app/GEMINI.md").write_bytes(b"a\0b")
    os.mkfifo(repository / "src/app/AGENTS.md")
    async with heddle(tmp_path, repository) as fleet:
        told = await fleet.call("rules.check", root=str(repository), agents=["codex"])
        plan = await fleet.call("rules.sync", root=str(repository), agents=["claude", "codex"], write=True)
    unreadable = {one["path"]: one["text"] for one in told["findings"] if one["slug"] == "unreadable"}
    assert set(unreadable) >= {"AGENTS.md", "CLAUDE.md", "src/AGENTS.md", "src/app/CLAUDE.md", "src/app/GEMINI.md"}
    assert (
        "out of the repository" in unreadable["CLAUDE.md"]
        and "out of the repository" in unreadable["src/app/CLAUDE.md"]
    )
    assert "secret" not in str(told)
    assert plan["writes"] == [] and [one["path"] for one in plan["left"]] == ["AGENTS.md", "CLAUDE.md"]
    assert (tmp_path / "outside.md").read_text() == "secret\n"


async def test_sync_says_first_and_writes_only_when_asked(tmp_path: Path) -> None:
    repository = make_repository(tmp_path / "repo", files(AGENTS="# Rules\r\n\r\n- One.\r\n"))
    (repository / "CLAUDE.md").unlink()
    git(repository, "commit", "-qam", "no shim")
    before = state(repository)
    async with heddle(tmp_path, repository) as fleet:
        asked = {"root": str(repository), "agents": ["claude", "gemini", "codex"]}
        told = await fleet.call("rules.sync", **asked)
        assert state(repository) == before
        done = await fleet.call("rules.sync", **asked, write=True)
        again = await fleet.call("rules.sync", **asked, write=True)
        checked = await fleet.call("rules.check", root=str(repository), agents=asked["agents"])
    assert [one["path"] for one in told["writes"]] == ["AGENTS.md", "CLAUDE.md", "GEMINI.md"]
    assert done["writes"] == told["writes"] and done["written"] and not told["written"]
    assert again["writes"] == []
    written = (repository / "AGENTS.md").read_bytes()
    assert written.startswith(b"# Rules\r\n\r\n- One.\r\n\r\n" + BEGIN.encode())
    assert written.endswith(END.encode() + b"\r\n") and written.count(b"\n") == written.count(b"\r\n")
    assert b"  - `make test`\r\n" in written
    assert (repository / "CLAUDE.md").read_text() == (repository / "GEMINI.md").read_text() == "@AGENTS.md\n"
    assert [line for line in found(checked) if "AGENTS.md" in line] == []
    assert sorted(path.name for path in repository.iterdir() if path.name.startswith(".")) == [".git", ".gitignore"]


async def test_only_the_block_is_replaced_and_every_other_byte_stays(tmp_path: Path) -> None:
    old = f"before \t\n{BEGIN}\nold\n{END} after\n\n\n"
    repository = make_repository(tmp_path / "repo", files(AGENTS=old))
    os.chmod(repository / "AGENTS.md", 0o640)
    (repository / "AGENTS.md").write_text(old.replace("old", "an edit of the block alone"))
    async with heddle(tmp_path, repository) as fleet:
        checked = await fleet.call("rules.check", root=str(repository), agents=["codex"])
        await fleet.call("rules.sync", root=str(repository), agents=["codex"], write=True)
    assert "AGENTS.md:2 stale-block" in found(checked)
    text = (repository / "AGENTS.md").read_text()
    assert text.startswith(f"before \t\n{BEGIN}\n##") and text.endswith(f"{END} after\n\n\n")
    assert (repository / "AGENTS.md").stat().st_mode & 0o777 == 0o640


@pytest.mark.parametrize("case", ["edited", "untracked", "deleted", "broken"])
async def test_w11_what_is_uncommitted_is_refused_and_nothing_is_written(tmp_path: Path, case: str) -> None:
    repository = make_repository(tmp_path / "repo", files(AGENTS="# Rules\n"))
    agents = repository / "AGENTS.md"
    match case:
        case "edited":
            agents.write_text("# Rules\nmine, and nowhere else\n")
        case "untracked":
            git(repository, "rm", "-q", "--cached", "AGENTS.md")
            git(repository, "commit", "-qm", "no rules")
        case "deleted":
            agents.unlink()
        case "broken":
            agents.write_text(f"# Rules\n{BEGIN}\n")
    (repository / "CLAUDE.md").unlink()
    git(repository, "commit", "-qm", "no shim", "CLAUDE.md")
    before = state(repository)
    async with heddle(tmp_path, repository) as fleet:
        with pytest.raises(HeddleError) as caught:
            await fleet.call("rules.sync", root=str(repository), agents=["claude"], write=True)
    assert caught.value.slug == ("broken-fence" if case == "broken" else "uncommitted")
    assert isinstance(caught.value, UserError if case == "broken" else Refused)
    assert state(repository) == before


async def test_a_link_is_left_alone_and_a_linked_folder_is_refused(tmp_path: Path) -> None:
    repository = make_repository(tmp_path / "repo", FILES)
    git(repository, "rm", "-q", "CLAUDE.md")
    (repository / "CLAUDE.md").symlink_to("AGENTS.md")
    (repository / ".claude/rules").mkdir(parents=True)
    (repository / ".claude/rules/api.md").write_text("---\npaths: src/**\n---\nBe strict.\n")
    (tmp_path / "elsewhere").mkdir()
    (repository / ".cursor").symlink_to(tmp_path / "elsewhere")
    git(repository, "add", "-A")
    git(repository, "commit", "-qm", "links")
    async with heddle(tmp_path, repository) as fleet:
        root = {"root": str(repository), "agents": ["claude"], "write": True}
        checked = await fleet.call("rules.check", root=str(repository), agents=["claude"])
        with pytest.raises(Refused) as caught:
            await fleet.call("rules.sync", **root, compile_for=["cursor"])
        assert "heddle" not in (repository / "AGENTS.md").read_text()
        done = await fleet.call("rules.sync", **root, compile_for=["copilot"])
    assert found(checked) == ["AGENTS.md:0 no-block"]
    assert caught.value.slug == "rules-outside"
    assert list((tmp_path / "elsewhere").iterdir()) == []
    made = ".github/instructions/api.instructions.md"
    assert [one["path"] for one in done["writes"]] == ["AGENTS.md", made]
    assert 'applyTo: "src/**"' in (repository / made).read_text()
    assert (repository / "CLAUDE.md").is_symlink()


async def test_a_shim_that_git_ignores_is_neither_made_nor_counted(tmp_path: Path) -> None:
    repository = make_repository(tmp_path / "repo", {"AGENTS.md": "rules\n", ".gitignore": "CLAUDE.md\n"})
    async with heddle(tmp_path, repository) as fleet:
        asked = {"root": str(repository), "agents": ["claude"]}
        bare = await fleet.call("rules.sync", **asked)
        (repository / "CLAUDE.md").write_text("@AGENTS.md\n")
        held = await fleet.call("rules.sync", **asked)
        told = await fleet.call("rules.check", **asked)
    for plan in (bare, held):
        assert [one["path"] for one in plan["writes"]] == ["AGENTS.md"]
        assert [(one["path"], one["why"].split(",")[0]) for one in plan["left"]] == [("CLAUDE.md", "git ignores it")]
    assert "AGENTS.md:0 not-loaded" in found(told)


async def test_odd_askings_are_errors_with_a_next_step(tmp_path: Path) -> None:
    empty = tmp_path / "empty"
    empty.mkdir()
    git(empty, "init", "-q")
    repository = make_repository(tmp_path / "repo")
    async with heddle(tmp_path, repository) as fleet:
        for method, more, slug in (
            ("rules.check", {"agents": ["nobody"]}, "unknown-agent"),
            ("rules.sync", {"compile_for": ["nobody"]}, "no-such-target"),
            ("rules.sync", {"root": str(empty)}, "empty-repository"),
            ("rules.check", {"root": str(tmp_path)}, "not-a-repository"),
        ):
            with pytest.raises(HeddleError) as caught:
                await fleet.call(method, **{"root": str(repository), **more})
            assert (caught.value.slug, bool(caught.value.hint)) == (slug, True)
        told = await fleet.call("rules.check", root=str(empty), agents=["codex"])
        assert found(told) == ["AGENTS.md:0 no-canonical"] and told["score"] == 8


async def test_a_linked_worktree_is_looked_at_for_itself(tmp_path: Path) -> None:
    repository = make_repository(tmp_path / "repo", FILES)
    git(repository, "worktree", "add", "-q", "-b", "side", str(tmp_path / "side"))
    (tmp_path / "side/AGENTS.md").write_text("[x](lost.md)\n")
    async with heddle(tmp_path, repository) as fleet:
        side = await fleet.call("rules.check", root=str(tmp_path / "side"), agents=["codex"])
        main = await fleet.call("rules.check", root=str(repository), agents=["codex"])
    assert "AGENTS.md:1 dead-path" in found(side)
    assert "AGENTS.md:1 dead-path" not in found(main)


async def test_show_tells_the_rules_of_each_session_or_that_it_does_not_know(tmp_path: Path) -> None:
    repository = make_repository(tmp_path / "repo", {name: FILES[name] for name in ("AGENTS.md", "CLAUDE.md")})
    async with heddle(tmp_path, repository, writes("b.txt")) as fleet:
        id = await fleet.start("Write b.txt")
        await fleet.until(id)
        told = await fleet.call("rules.show", task=id)
    assert len(told["sessions"]) == 3
    for one in told["sessions"]:
        assert (one["agent"], one["known"], one["files"]) == ("rehearsal", False, [])
        assert one["told"] == "what 'rehearsal' loads is not known"
        assert one["commit"]


async def test_only_so_many_files_are_read_and_the_rest_is_told(tmp_path: Path) -> None:
    many = {f"d{n}/AGENTS.md": "rules\n" for n in range(MOST_FILES + 3)}
    repository = make_repository(tmp_path / "repo", {**FILES, **many})
    async with heddle(tmp_path, repository) as fleet:
        told = await fleet.call("rules.check", root=str(repository), agents=["codex"])
    assert told["unread"] == 5
    assert len(told["loads"]) == MOST_FILES - 1
    assert ("AGENTS.md", "start") in {(one["path"], one["when"]) for one in told["loads"]}
