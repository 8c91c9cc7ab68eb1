"""Issues through `gh`: a program of that name that answers as it does, and every way in which it does not."""

import json
import os
import shlex
from pathlib import Path

import pytest

from heddle.adapters.trackers import TaskLists, gh
from heddle.core.errors import HeddleError, OutsideError, SetupError, UserError
from heddle.core.links import Link, LinkKind

NEAR = {"id": "I_kw", "number": 1, "title": "One", "url": "https://github.com/acme/loom/issues/1", "state": "OPEN"}
TOLD = [
    {
        "number": 2,
        "title": "Two",
        "body": "",
        "state": "OPEN",
        "labels": [],
        "url": "https://github.com/acme/loom/issues/2",
        "parent": None,
        "subIssues": {"nodes": [], "totalCount": 0},
        "blockedBy": {"nodes": [NEAR], "totalCount": 1},
        "issueType": None,
    }
]


class Stage:
    """A folder of PATH with our `gh` in it, and the repository that it is run in."""

    def __init__(self, folder: Path) -> None:
        self.root = folder / "root"
        self.bin = folder / "bin"
        self.root.mkdir()
        self.bin.mkdir()

    def play(self, script: str) -> None:
        path = self.bin / "gh"
        path.write_text(f'#!/bin/sh\nprintf "%s\\n" "$*" >>{shlex.quote(str(self.bin))}/asked\n{script}\n')
        path.chmod(0o755)

    @property
    def asked(self) -> list[str]:
        return (self.bin / "asked").read_text().splitlines()

    async def read(self, where: str = "", format: str = "github", **env: str) -> list[str]:
        lists = TaskLists({"PATH": f"{self.bin}:/usr/bin:/bin", **env})
        return [task.source for task in await lists.listed(where, format, str(self.root))]

    async def fails(self, kind: type[HeddleError], where: str = "") -> HeddleError:
        with pytest.raises(kind) as caught:
            await self.read(where)
        assert type(caught.value) is kind and caught.value.hint and "\x1b" not in caught.value.message
        return caught.value


@pytest.fixture
def stage(tmp_path: Path) -> Stage:
    return Stage(tmp_path)


async def test_issues_are_asked_of_gh_with_their_links(stage: Stage) -> None:
    stage.play(f"pwd >&2; cat <<'E'\n{json.dumps(TOLD)}\nE")
    lists = TaskLists({"PATH": f"{stage.bin}:/usr/bin:/bin"})
    (task,) = await lists.listed("acme/loom", "", str(stage.root))
    assert task.source == "github:acme/loom#2" and task.links == (Link(LinkKind.BLOCKS, "github:acme/loom#1"),)
    (asked,) = stage.asked
    assert asked.startswith("issue list --state=all --limit=10001 --repo=acme/loom --json=number,title,body,")
    assert await stage.read() == ["github:acme/loom#2"] and "--repo" not in stage.asked[1]


async def test_it_runs_in_the_repository_without_prompts_or_colours(stage: Stage) -> None:
    stage.play(
        '[ "$GH_PROMPT_DISABLED$NO_COLOR$GH_FORCE_TTY" = 11 ] && [ "$(pwd -P)" = "$WANTED" ] && [ ! -t 0 ] && echo "[]"'
    )
    assert await stage.read(GH_FORCE_TTY="80", WANTED=os.path.realpath(stage.root)) == []


async def test_an_older_gh_is_asked_without_links(stage: Stage) -> None:
    told = json.dumps([{key: TOLD[0][key] for key in ("number", "title", "url")}])
    stage.play(f"""case "$*" in *blockedBy*) echo 'Unknown JSON field: "blockedBy"' >&2; exit 1;; esac
cat <<'E'
{told}
E""")
    assert await stage.read("acme/loom") == ["github:acme/loom#2"]
    assert [asked.endswith("body,state,labels,url") for asked in stage.asked] == [False, True]


async def test_no_gh_at_all(stage: Stage) -> None:
    error = await stage.fails(SetupError)
    assert error.slug == "gh-missing" and "cli.github.com" in error.hint
    stage.play("exit 0")
    (stage.bin / "gh").chmod(0o644)
    assert (await stage.fails(SetupError)).slug == "gh-missing"
    stage.play("exit 0")
    stage.root.rmdir()
    assert (await stage.fails(OutsideError)).slug == "directory-missing"


@pytest.mark.parametrize(
    ("script", "kind", "slug"),
    [
        ("echo 'To get started with GitHub CLI, please run:  gh auth login' >&2; exit 4", SetupError, "gh-login"),
        ("exit 4", SetupError, "gh-login"),
        ("echo 'HTTP 401: Bad credentials (https://api.github.com/graphql)' >&2; exit 1", SetupError, "gh-login"),
        ("echo 'GraphQL: API rate limit already exceeded for user ID 1.' >&2; exit 1", OutsideError, "gh-rate-limit"),
        ("echo 'HTTP 403: You have exceeded a secondary rate limit' >&2; exit 1", OutsideError, "gh-rate-limit"),
        ('echo "GraphQL: Could not resolve to a Repository" >&2; exit 1', UserError, "no-such-repository"),
        ("echo 'no git remotes found' >&2; exit 1", UserError, "no-such-repository"),
        ("printf 'first\\n\\033[31merror connecting to api.github.com\\n' >&2; exit 1", OutsideError, "gh-failed"),
        ("kill -9 $$", OutsideError, "gh-failed"),
        ("exit 1", OutsideError, "gh-failed"),
    ],
)
async def test_what_gh_fails_at_is_told_with_the_next_step(
    stage: Stage, script: str, kind: type[HeddleError], slug: str
) -> None:
    stage.play(script)
    error = await stage.fails(kind, "acme/loom")
    assert error.slug == slug and "tail" in error.facts and len(stage.asked) == 1


@pytest.mark.parametrize("said", ["", "not json", "{}", '{"number": 0}', "\\377"])
async def test_an_answer_that_is_none_is_not_taken_for_no_issues(stage: Stage, said: str) -> None:
    stage.play(f"printf '{said}'")
    error = await stage.fails(UserError)
    assert error.slug in ("bad-json", "not-utf-8")


async def test_an_endless_answer_is_ended(stage: Stage) -> None:
    stage.play(f"echo $$ >{shlex.quote(str(stage.bin))}/pid; exec cat /dev/zero")
    assert (await stage.fails(OutsideError)).slug == "list-too-large"
    with pytest.raises(ProcessLookupError):
        os.kill(int((stage.bin / "pid").read_text()), 0)


async def test_one_that_never_answers_is_ended(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gh, "TIMEOUT_S", 0.3)
    stage.play(f"echo $$ >{shlex.quote(str(stage.bin))}/pid; exec tail -f /dev/null")
    assert (await stage.fails(OutsideError)).slug == "gh-timeout"


@pytest.mark.parametrize(
    "where", ["--json=x", "acme", "acme/loom/../x", "acme/lo om", "-a/b", "acme/loom\n", "a/b/c/d"]
)
async def test_a_name_that_is_none_never_reaches_gh(stage: Stage, where: str) -> None:
    stage.play("echo '[]'")
    assert (await stage.fails(UserError, where)).slug == "no-such-repository"
    assert not (stage.bin / "asked").exists()
