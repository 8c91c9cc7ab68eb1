"""Task lists as other tools write them: what is read from each, and that reading again tells the same."""

import json
from pathlib import Path

import pytest

from heddle.adapters.trackers import TaskLists
from heddle.adapters.trackers.labels import Said, said
from heddle.core.errors import UserError
from heddle.core.links import Link, LinkKind
from heddle.ports import Listed

BLOCKS, PARENT, FOUND = LinkKind.BLOCKS, LinkKind.PARENT, LinkKind.DISCOVERED_FROM


async def read(root: Path, file: str, content: str = "", format: str = "") -> dict[str, Listed]:
    """What a file of the repository tells, by what each task is called behind the name of its list."""
    path = root / file
    if content:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content.encode())
    tasks = await TaskLists({}).listed(str(path), format, str(root))
    assert len({task.source for task in tasks}) == len(tasks)
    return {task.source.rpartition("#")[2]: task for task in tasks}


def blockers(task: Listed) -> list[str]:
    return [link.task.rpartition("#")[2] for link in task.links if link.kind is BLOCKS]


# ------------------------------------------------------------------------------------------------ Markdown

ROADMAP = """\
# Roadmap

Some words, and a list that is none of tasks:

- a point
- [a link](https://example.com)

## Storage

- [x] Write the **index** to disk
- [ ] Read the index
      even when it is old

  It may be of version 1.

  - see `docs/index.md`
  - [X] Version 1
  - [ ] Version 2

    ```md
    - [ ] not a task
    ```
1. [ ] A numbered one

## Later

* [ ] Read the index
- plain
  - [ ] below a plain one
<!-- - [ ] hidden
- [ ] hidden, too -->

    - [ ] indented code

> - [ ] quoted

```
- [ ] fenced
```
"""


async def test_a_checklist_is_read_with_what_belongs_to_each_item(tmp_path: Path) -> None:
    tasks = list((await read(tmp_path, "ROADMAP.md", ROADMAP)).values())
    assert [task.text.split("\n")[0] for task in tasks] == [
        "Write the **index** to disk",
        "Read the index even when it is old",
        "Version 1",
        "Version 2",
        "A numbered one",
        "Read the index",
        "below a plain one",
    ]
    assert [task.closed for task in tasks] == [True, False, True, False, False, False, False]
    whole = tasks[1]
    assert "It may be of version 1." in whole.text and "- see `docs/index.md`" in whole.text
    assert whole.text.endswith('From ROADMAP.md, under "Roadmap > Storage".')
    assert "- [ ] not a task" in tasks[3].text
    assert tasks[2].links == tasks[3].links == (Link(PARENT, whole.source),)
    assert not any(task.links for task in tasks[4:])


async def test_a_task_keeps_its_name_whatever_changes_around_it(tmp_path: Path) -> None:
    before = await read(tmp_path, "ROADMAP.md", "# A\n- [ ] One thing\n- [ ] Same\n- [ ] Same\n")
    edited = "# B\n\nMore.\n- [ ] Fresh\n- [ ] Over all\n  - [x] One thing\n\n\n1. [ ] Same\n* [X] Same\n"
    after = await read(tmp_path, "ROADMAP.md", edited.replace("\n", "\r\n"))
    assert list(before) == [name for name in after if name in before] and len(before) == 3
    assert [after[name].closed for name in before] == [True, False, True]
    assert [name[-2:] for name in before][2] == "-2"


async def test_our_own_block_in_a_checklist_is_not_read_back(tmp_path: Path) -> None:
    block = "<!-- heddle:tasks begin -->\n- [ ] T1 Mine (ready)\n<!-- heddle:tasks end -->\n"
    assert len(await read(tmp_path, "ROADMAP.md", f"- [ ] Theirs\n\n{block}\n- [ ] Theirs, too\n")) == 2
    with pytest.raises(UserError, match="begins on line 2") as caught:
        await read(tmp_path, "ROADMAP.md", "- [ ] Theirs\n" + block.partition("- [ ]")[0])
    assert caught.value.slug == "broken-block"


async def test_words_of_any_script_make_a_name_and_long_ones_differ(tmp_path: Path) -> None:
    same = "x" * 3000
    tasks = await read(tmp_path, "TODO.md", f"- [ ] 索引を書く\n- [ ] ***\n- [ ] {same}a\n- [ ] {same}b\n- [ ]\n")
    assert len(tasks) == 4 and next(iter(tasks)).startswith("索引を書く-")


# ------------------------------------------------------------------------------------------------ GitHub


def issue(number: int, **more: object) -> dict[str, object]:
    """One issue as `gh issue list --json` prints it."""
    address = f"https://github.com/Acme/Loom/issues/{number}"
    return {
        "number": number,
        "title": f"Issue {number}",
        "body": "",
        "state": "OPEN",
        "labels": [],
        "url": address,
    } | more


async def issues(root: Path, *raw: dict[str, object]) -> dict[str, Listed]:
    return await read(root, "issues.json", json.dumps(list(raw)))


async def test_an_issue_is_read_with_its_labels(tmp_path: Path) -> None:
    label = {"id": "LA_kw", "name": "bug", "description": "", "color": "d73a4a"}
    found = await issues(
        tmp_path,
        issue(3, body="Words.\r\n\r\nMore.", labels=[label, {"name": "P1"}, {"name": "lane:quick"}], state="CLOSED"),
        issue(4, issueType={"name": "Feature"}, milestone=None),
    )
    assert found["3"] == Listed("github:acme/loom#3", "Issue 3\n\nWords.\n\nMore.", True, "bugfix", "quick", 1)
    assert found["4"].role == "feature" and found["4"].priority is None and not found["4"].closed


async def test_sub_issues_and_dependencies_become_links(tmp_path: Path) -> None:
    def near(number: int) -> dict[str, object]:
        return {"id": "I_kw", "number": number, "url": f"https://github.com/acme/loom/issues/{number}", "state": "OPEN"}

    found = await issues(
        tmp_path,
        issue(1, subIssues={"nodes": [near(2), near(3)], "totalCount": 2}),
        issue(2, parent=near(9)),
        issue(3, blockedBy={"nodes": [near(2)], "totalCount": 1}, blocking={"nodes": [near(4)]}),
        issue(4, body="- [ ] #3\n- [x] #5 done\n- [ ] words #1"),
        issue(5, parent={"number": 8, "url": "https://github.com/else/where/issues/8"}),
    )
    assert found["2"].links == (Link(PARENT, "github:acme/loom#9"),)  # what it says itself stands above what others say
    assert found["3"].links == (Link(BLOCKS, "github:acme/loom#2"), Link(PARENT, "github:acme/loom#1"))
    assert found["4"].links == (Link(BLOCKS, "github:acme/loom#3"),)
    assert found["5"].links == (Link(PARENT, "github:else/where#8"),)


@pytest.mark.parametrize(
    ("body", "numbers"),
    [
        ("Blocked by #12", ["12"]),
        ("- **Blocked by:** #12, #13 and acme/loom#14.", ["12", "13", "14"]),
        ("depends on https://github.com/acme/loom/issues/15", ["15"]),
        ("## Blocked by\n\n- #16\n- [ ] #17 first\n\nWords\n- #18", ["16", "17"]),
        ("**Depends on:** other/repo#3", ["3"]),
        ("Blocked by: none\n- #19", []),
        ("This is not blocked by #20, nor `#21`.", []),
        ("```\nBlocked by #22\n```", []),
        ("Depends on #11-02", []),
        ("Blocked by #7", []),  # itself
    ],
)
async def test_what_an_issue_says_it_is_blocked_by(tmp_path: Path, body: str, numbers: list[str]) -> None:
    found = await issues(tmp_path, issue(7, body=body), *(issue(n) for n in range(8, 23)))
    assert blockers(found["7"]) == numbers
    assert all(not found[str(n)].links for n in range(8, 23))


async def test_the_other_ways_in_which_gh_prints_issues_are_read(tmp_path: Path) -> None:
    rest = {
        "url": "https://api.github.com/repos/acme/loom/issues/1",
        "html_url": "https://github.com/acme/loom/issues/1",
        "number": 1,
        "title": "One",
        "body": None,
        "state": "closed",
        "labels": [{"name": "documentation"}],
        "parent_issue_url": "https://api.github.com/repos/acme/loom/issues/2",
    }
    pull = rest | {"number": 5, "html_url": "https://github.com/acme/loom/pull/5", "pull_request": {"url": ""}}
    graph = {"data": {"repository": {"issues": {"nodes": [issue(2, labels={"nodes": [{"name": "docs"}]})]}}}}
    pages = json.dumps([rest, pull]) + json.dumps([issue(2)])
    one_a_line = "".join(json.dumps(issue(n)) + "\n" for n in (1, 2))
    first = (await read(tmp_path, "rest.json", pages))["1"]
    assert first.closed and first.role == "docs" and first.links == (Link(PARENT, "github:acme/loom#2"),)
    assert list(await read(tmp_path, "rest.json")) == ["1", "2"]
    assert list(await read(tmp_path, "lines.jsonl", one_a_line)) == ["1", "2"]
    assert (await read(tmp_path, "graph.json", json.dumps(graph)))["2"].role == "docs"
    assert list(await read(tmp_path, "slurped.json", json.dumps([[issue(1)], [issue(2)]]))) == ["1", "2"]
    assert await read(tmp_path, "none.json", "[]") == {}


async def test_issues_without_an_address_are_named_after_their_file(tmp_path: Path) -> None:
    raw = [{"number": 1, "title": "A", "body": "Depends on #2"}, {"number": 2, "title": "B", "labels": ["bug"]}]
    found = await read(tmp_path, "lists/issues.json", json.dumps(raw))
    assert found["1"].links == (Link(BLOCKS, "github:lists/issues.json#2"),)
    assert found["2"].source == "github:lists/issues.json#2" and found["2"].role == "bugfix"


@pytest.mark.parametrize(
    ("labels", "told"),
    [
        (["type: bug", "priority/P0"], Said("bugfix", "", 0)),
        (["Documentation", "priority-3"], Said("docs", "", 3)),
        (["kind/feature", "bug", "security"], Said("bugfix", "", None)),
        (["role:tests", "bug", "lane:full", "priority:high", "P3"], Said("tests", "full", 1)),
        (["type/refactor", "tech debt"], Said("refactor", "", None)),
        (["role:undo", "lane:fast", "role:1!", "priority:9", "area/docs", "high contrast", "debug"], Said()),
    ],
)
def test_labels_are_told_by_a_small_table(labels: list[str], told: Said) -> None:
    assert said(labels) == told


# ------------------------------------------------------------------------------------------------ beads


def bead(id: str, **more: object) -> str:
    start = {"id": id, "title": f"Bead {id}", "description": "", "status": "open", "priority": 2, "issue_type": "task"}
    return json.dumps(start | more) + "\n"


async def test_beads_are_read_with_their_links_and_bookkeeping_is_not(tmp_path: Path) -> None:
    def on(mine: str, other: str, kind: str) -> dict[str, str]:
        return {"issue_id": mine, "depends_on_id": other, "type": kind, "created_at": "2026-01-01T00:00:00Z"}

    lines = [
        bead("bd-1", issue_type="epic", priority=0, description="Words.", acceptance_criteria="It runs.", notes="N."),
        bead(
            "bd-2",
            issue_type="bug",
            status="closed",
            dependencies=[
                on("bd-2", "bd-1", "parent-child"),
                on("bd-2", "bd-3", "blocks"),
                on("bd-2", "bd-4", "discovered-from"),
                on("bd-2", "bd-5", "related"),
                on("bd-9", "bd-7", "blocks"),
            ],
        ),
        bead("bd-3", status="in_progress", priority=9, labels=["docs"], parent="bd-1"),
        bead("bd-w", ephemeral=True),
        bead("bd-m", issue_type="message"),
        bead("bd-d", status="tombstone"),
        '{"_type":"memory","key":"k","value":"v"}\n',
        "\n",
    ]
    found = await read(tmp_path, ".beads/issues.jsonl", "".join(lines))
    tasks = {task.source: task for task in found.values()}
    assert list(tasks) == ["beads:bd-1", "beads:bd-2", "beads:bd-3"]
    first, second, third = tasks.values()
    text = "Bead bd-1\n\nWords.\n\n## Acceptance criteria\n\nIt runs.\n\n## Notes\n\nN."
    assert (first.priority, first.text, first.closed) == (0, text, False)
    links = (Link(PARENT, "beads:bd-1"), Link(BLOCKS, "beads:bd-3"), Link(FOUND, "beads:bd-4"))
    assert (second.role, second.closed, second.links) == ("bugfix", True, links)
    assert (third.role, third.priority, third.closed) == ("docs", None, False)
    assert third.links == (Link(PARENT, "beads:bd-1"),)
    assert await read(tmp_path, "") == found  # the repository, and the folder
    assert await read(tmp_path, ".beads") == found


# ------------------------------------------------------------------------------------------------ Spec Kit

SPEC = """\
# Tasks: Find by words

**Input**: documents from `/specs/001-find/`

## Format: `[ID] [P?] [Story] Description`

- **[P]**: side by side

<!-- - [ ] T000 a sample -->

## Phase 1: Setup

- [X] T001 Make the package
- [ ] T002 [P] Add the linter
- [ ] T003 [P] Add the formatter

## Phase 2: Foundational

- [ ] T004 Lay out the store
- [ ] T005 [P] Read it in src/read.py
      line by line
  - [ ] with a bound
- [ ] T006 Write it

---

## Phase 3: User Story 1 - By one word (Priority: P1)

### Tests

- [ ] T007 [P] [US1] Test it in tests/test_one.py

### Implementation

- [ ] T008 [US1] Find it (depends on T004, T006)

## Phase 4: User Story 2 - By two (Priority: P2)

- [ ] T009 [US2] Find both

## Phase N: Polish

- [ ] T010 [P] Docs
- [ ] T010a [P] More docs

## Dependencies

- Setup first

```bash
- [ ] T011 an example
```

- [ ] a check without an id
"""


async def test_spec_kit_tasks_wait_for_what_stands_before_them(tmp_path: Path) -> None:
    found = await read(tmp_path, "specs/001-find/tasks.md", SPEC)
    assert {name: blockers(task) for name, task in found.items()} == {
        "T001": [],
        "T002": ["T001"],
        "T003": ["T001"],
        "T004": ["T002", "T003"],
        "T005": ["T004"],
        "T006": ["T005"],
        "T007": ["T006"],
        "T008": ["T007", "T004", "T006"],
        "T009": ["T006"],  # a story waits for no other
        "T010": ["T008", "T009"],
        "T010a": ["T008", "T009"],
    }
    assert found["T001"].closed and not found["T002"].closed
    assert [found[name].priority for name in ("T001", "T008", "T009")] == [None, 1, 2]
    fifth = found["T005"]
    assert fifth.source == "speckit:specs/001-find#T005"
    assert fifth.text.startswith(
        "T005 Read it in src/read.py line by line\n\n- [ ] with a bound\n\nFrom specs/001-find/"
    )
    assert "US1" in found["T007"].text
    assert await read(tmp_path, "", format="speckit") == found == await read(tmp_path, "specs/001-find")


async def test_a_folder_of_specifications_is_read_as_one_list(tmp_path: Path) -> None:
    await read(tmp_path, "specs/001-find/tasks.md", SPEC)
    await read(
        tmp_path, "specs/002-sort/tasks.md", "## Tasks\n\n- [ ] T001 Sort\n- [ ] T071-T074 Merged\n- [ ] T5+T6 Two\n"
    )
    (tmp_path / "specs" / "003-draft").mkdir()
    (tmp_path / "specs" / "003-draft" / "tasks.md").write_text("Nothing yet.\n")
    tasks = await TaskLists({}).listed(str(tmp_path / "specs"), "", str(tmp_path))
    assert [task.source for task in tasks[-3:]] == [
        f"speckit:specs/002-sort#{id}" for id in ("T001", "T071-T074", "T5")
    ]
    assert len(tasks) == 14


# ------------------------------------------------------------------------------------------------ OpenSpec


async def test_an_openspec_change_is_one_task_and_keeps_its_name_in_the_archive(tmp_path: Path) -> None:
    changes = tmp_path / "openspec" / "changes"
    change = changes / "add-login"
    change.mkdir(parents=True)
    (change / "proposal.md").write_text(
        "# Change: Let people log in\n\n## Why\n\nNobody can.\n\n## What Changes\n\n- a page\n\n## Notes\n\nskip\n"
    )
    (change / "tasks.md").write_text("## 1. Page\n- [x] 1.1 Draw it\n  - [ ] 1.1.1 in blue\n")
    (task,) = (await read(tmp_path, "")).values()
    assert task.source == "openspec:add-login" and not task.closed
    assert task.text.startswith(
        "Let people log in\n\n## Why\n\nNobody can.\n\n## What Changes\n\n- a page\n\n## Tasks\n\n"
    )
    assert "1.1.1 in blue" in task.text and "skip" not in task.text and "openspec/changes/add-login" in task.text
    for name in ("openspec", "openspec/changes", "openspec/changes/add-login/tasks.md"):
        assert list((await read(tmp_path, name)).values()) == [task]
    (change / "tasks.md").write_text("- [x] 1.1 Draw it\n  - [X] 1.1.1 in blue\n")
    (done,) = (await read(tmp_path, "")).values()
    assert done.closed
    (change / "tasks.md").unlink()
    (changes / "archive").mkdir()
    change.rename(changes / "archive" / "2026-02-03-add-login")
    (archived,) = (await read(tmp_path, "")).values()
    assert archived.source == task.source and archived.closed


async def test_a_change_that_was_taken_up_again_is_open(tmp_path: Path) -> None:
    for name in ("archive/2026-01-01-tidy", "archive/2026-02-01-tidy", "tidy"):
        folder = tmp_path / "openspec" / "changes" / name
        folder.mkdir(parents=True)
        (folder / "proposal.md").write_text(f"Words of {name}.\n")
        (task,) = (await read(tmp_path, "openspec")).values()
        assert task.closed is (name != "tidy") and f"Words of {name}." in task.text


# ------------------------------------------------------------------------------------------------ telling formats


async def test_what_a_folder_or_file_holds_is_told_or_asked(tmp_path: Path) -> None:
    await read(tmp_path, ".beads/issues.jsonl", bead("bd-1"))
    await read(tmp_path, "specs/001-find/tasks.md", SPEC)
    (tmp_path / "empty").mkdir()
    for where, format, words in (
        ("", "", "beads and speckit"),
        ("empty", "", "no task list"),
        ("empty", "openspec", "nothing of openspec"),
        (".beads", "markdown", "is a folder"),
        (".beads/issues.jsonl", "jira", "no format 'jira'"),
    ):
        with pytest.raises(UserError, match=words) as caught:
            await read(tmp_path, where, format=format)
        assert "task list" in caught.value.hint or "speckit" in caught.value.hint
    (tmp_path / "notes.md").write_text("Only words, and an array: [1]\n")
    for where in ("notes.md", str(tmp_path / "notes.md"), ""):
        with pytest.raises(UserError) as caught:
            await TaskLists({}).listed(where, "", str(tmp_path))
        assert caught.value.slug == "unknown-format" and "github, markdown, beads" in caught.value.hint
    badges = "[![CI](https://ci.example.com)](x)\n\n- [ ] One\n"
    assert len(await read(tmp_path, "README.md", badges)) == 1
    assert len(await read(tmp_path, "specs/001-find/tasks.md", format="markdown")) == 13
