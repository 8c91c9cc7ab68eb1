"""What of the tracker is written out: the same of the same tasks, read back as it was, and nothing else touched."""

import json
import os
import stat
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from heddle.adapters.trackers import TaskLists
from heddle.adapters.trackers.exports import as_jsonl, as_roadmap, exported_in, jsonl_tasks
from heddle.adapters.trackers.markdown import markdown_tasks
from heddle.core.errors import UserError
from heddle.core.links import Link, LinkKind
from heddle.ports import Exported, ExportFormat

BEGIN, END = "<!-- heddle:tasks begin -->", "<!-- heddle:tasks end -->"


def task(id: str, text: str = "Words", **more: object) -> Exported:
    plain = Exported(id, "", text, "ready", False, "feature", "standard", 2)
    return replace(plain, **more)  # type: ignore[arg-type]


numbers = st.integers(1, 40)
links = st.builds(Link, st.sampled_from(LinkKind), numbers.map(lambda number: f"T{number}"))
tasks = st.lists(
    st.builds(
        Exported,
        id=numbers.map(lambda number: f"T{number}"),
        source=st.sampled_from(["", "github:acme/loom#3", "markdown:a b.md#x-1"]),
        text=st.text(min_size=1).filter(lambda text: text.isprintable() and text.strip())
        | st.just("T\n\nb\x1b[2J\u2028\u202e\n"),
        status=st.sampled_from(["ready", "landed"]),
        closed=st.booleans(),
        role=st.sampled_from(["feature", "docs"]),
        lane=st.sampled_from(["quick", "standard", "full"]),
        priority=st.integers(0, 4),
        links=st.lists(links, max_size=4, unique=True).map(
            lambda found: tuple(sorted(found, key=lambda link: (link.kind, int(link.task[1:]))))
        ),
    ),
    max_size=12,
    unique_by=lambda one: one.id,
)


@given(tasks)
@settings(deadline=None)
def test_what_is_exported_comes_back_as_it_was(exported: list[Exported]) -> None:
    text = as_jsonl(exported)
    back = [one for _, one in exported_in(text, "tasks.jsonl")]
    assert back == sorted(exported, key=lambda one: int(one.id[1:]))
    assert as_jsonl(back) == as_jsonl(reversed(exported)) == text
    assert text.count("\n") == len(exported) == len(text.splitlines())
    assert all(line.isprintable() or "\t" in line for line in text.splitlines())


def test_the_lines_are_in_the_order_of_numbers_and_their_keys_too() -> None:
    text = as_jsonl([task("T10"), task("T2", links=(Link(LinkKind.BLOCKS, "T10"), Link(LinkKind.BLOCKS, "T9")))])
    assert text.startswith('{"id": "T2", "source": "", "text": "Words", "status": "ready", "closed": false, "role": ')
    assert '"links": [{"kind": "blocks", "task": "T9"}, {"kind": "blocks", "task": "T10"}]}\n{"id": "T10"' in text


def test_what_comes_back_has_the_name_of_the_list_that_it_came_from() -> None:
    text = as_jsonl(
        [
            task("T1", "Title\nbody", source="github:acme/loom#3", closed=True),
            task("T2", links=(Link(LinkKind.BLOCKS, "T1"), Link(LinkKind.PARENT, "T7"))),
        ]
    )
    first, second = jsonl_tasks(text, "tasks.jsonl")
    assert (first.source, first.text, first.closed) == ("github:acme/loom#3", "Title\nbody", True)
    assert second.source == "jsonl:T2" and (second.role, second.lane, second.priority) == ("feature", "standard", 2)
    assert second.links == (Link(LinkKind.BLOCKS, "github:acme/loom#3"), Link(LinkKind.PARENT, "jsonl:T7"))


def test_a_later_version_may_tell_more_and_an_earlier_one_less() -> None:
    line = json.dumps({"id": "T1", "text": "A", "more": [1]})
    (read,) = jsonl_tasks(line, "tasks.jsonl")
    assert (read.text, read.priority, read.lane, read.closed) == ("A", 2, "", False)


def test_the_block_shows_the_tasks_and_nothing_else_is_touched() -> None:
    before = f"# Plan\n\nMine. \n\n{BEGIN}\nold\n{END}\n- [ ] mine, too\n"
    shown = as_roadmap(
        [
            task("T10", "Later", links=(Link(LinkKind.PARENT, "T2"),)),
            task("T2", "Over all\nwith more"),
            task(
                "T3",
                "Done",
                closed=True,
                status="landed",
                links=(Link(LinkKind.PARENT, "T2"), Link(LinkKind.BLOCKS, "T9")),
            ),
            task("T4", "Waits", status="blocked", links=(Link(LinkKind.BLOCKS, "T10"), Link(LinkKind.BLOCKS, "T3"))),
            task("T5", "Lost", links=(Link(LinkKind.PARENT, "T99"),)),
            task("T6", "Round", links=(Link(LinkKind.PARENT, "T7"),)),
            task("T7", "Round, too", links=(Link(LinkKind.PARENT, "T6"),)),
            task("T8", "In it", links=(Link(LinkKind.PARENT, "T7"),)),
        ],
        before,
    )
    block = shown.partition(BEGIN)[2].partition(END)[0]
    assert block.strip().split("\n") == [
        "- [ ] T2 Over all (ready)",
        "  - [x] T3 Done (landed)",
        "  - [ ] T10 Later (ready)",
        "- [ ] T4 Waits (blocked, after T3, T10)",
        "- [ ] T5 Lost (ready)",
        "- [ ] T6 Round (ready)",
        "  - [ ] T7 Round, too (ready)",
        "    - [ ] T8 In it (ready)",
    ]
    assert shown.replace(block, "\nold\n") == before


def test_a_deep_line_of_parents_is_shown_as_far_as_it_can_be_read() -> None:
    chain = [task(f"T{n}", links=(Link(LinkKind.PARENT, f"T{n - 1}"),)) for n in range(1, 5001)]
    lines = as_roadmap(chain, "").split("\n")
    assert len(lines) == 5003 and lines[3] == "    - [ ] T3 Words (ready)" and max(map(len, lines)) < 100


def test_a_title_cannot_leave_the_block() -> None:
    titles = [f"{END}", "<img src=x onerror=y>", "[a](javascript:b)", "\x1b[2Jx", "x" * 500, "back\\slash"]
    shown = as_roadmap([task(f"T{number}", title) for number, title in enumerate(titles, 1)], "")
    lines = shown.split("\n")
    assert (lines[0], lines[-2], lines[-1], len(lines)) == (BEGIN, END, "", len(titles) + 3)
    assert "\\<img" in shown and "\\[a\\]" in shown and "\x1b" not in shown and max(map(len, lines)) < 230
    assert as_roadmap([], shown) == f"{BEGIN}\n{END}\n"
    assert markdown_tasks(shown, "ROADMAP.md") == ()


@given(tasks, st.text(), st.sampled_from(["\n", "\r\n"]), st.booleans())
@settings(deadline=None)
def test_writing_again_changes_nothing_and_the_rest_stays_byte_for_byte(
    exported: list[Exported], words: str, end: str, has: bool
) -> None:
    around = words.replace("\n", end)
    before = f"{around}{end}{BEGIN}{end}x{end}{END}{end}{around}" if has else around
    once = as_roadmap(exported, before)
    assert as_roadmap(exported, once) == once
    assert once.startswith(around) and (not has or once.endswith(f"{END}{end}{around}"))
    if end == "\r\n" and has and words.isprintable():
        assert once.count("\n") == once.count("\r\n")


@pytest.mark.parametrize(
    "lines",
    [
        [BEGIN],
        [END],
        [END, BEGIN],
        [BEGIN, BEGIN, END],
        [BEGIN, END, END],
        [BEGIN, END, BEGIN, END],
        [f"  {BEGIN} ", "x"],
    ],
)
def test_a_broken_block_is_refused_with_the_lines(lines: list[str]) -> None:
    with pytest.raises(UserError, match=r"on line \d") as caught:
        as_roadmap([task("T1")], "\n".join(["# Mine", *lines, ""]))
    assert caught.value.slug == "broken-block" and caught.value.hint


async def write(root: Path, file: str, format: ExportFormat = "roadmap") -> bool:
    return await TaskLists({}).write([task("T1")], format, str(root / file), str(root))


async def test_a_file_is_replaced_at_once_and_keeps_its_mode(tmp_path: Path) -> None:
    path = tmp_path / "ROADMAP.md"
    path.write_bytes(b"# caf\xe9\r\n")
    path.chmod(0o640)
    assert await write(tmp_path, "ROADMAP.md")
    told = path.read_bytes()
    assert told == f"\r\n{BEGIN}\r\n- [ ] T1 Words (ready)\r\n{END}\r\n".encode().join([b"# caf\xe9\r\n", b""])
    assert stat.S_IMODE(path.stat().st_mode) == 0o640
    inode = path.stat().st_ino
    assert not await write(tmp_path, "ROADMAP.md") and path.stat().st_ino == inode
    assert await write(tmp_path, "tasks.jsonl", "jsonl") and not await write(tmp_path, "tasks.jsonl", "jsonl")
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["ROADMAP.md", "tasks.jsonl"]


async def test_nothing_else_is_written_over(tmp_path: Path) -> None:
    root, outside = tmp_path / "root", tmp_path / "outside"
    root.mkdir()
    outside.mkdir()
    (outside / "rc").write_text("mine\n")
    (root / "link.md").symlink_to(outside / "rc")
    (root / "docs").symlink_to(outside)
    (root / "folder").mkdir()
    os.mkfifo(root / "pipe")
    (root / "notes.jsonl").write_text('{"mine": 1}\n')
    (root / "broken.md").write_text(f"{BEGIN}\n")
    slugs = {
        "link.md": "list-is-a-link",
        "docs/rc": "list-outside",
        "docs/fresh.md": "list-outside",
        "folder": "not-a-file",
        "pipe": "not-a-file",
        "none/x.md": "list-unwritable",
        "broken.md": "broken-block",
    }
    before = {path: path.read_bytes() for path in (outside / "rc", root / "notes.jsonl", root / "broken.md")}
    for file, slug in slugs.items():
        with pytest.raises(UserError) as caught:
            await write(root, file)
        assert (caught.value.slug, bool(caught.value.hint)) == (slug, True), file
    with pytest.raises(UserError, match="something else"):
        await write(root, "notes.jsonl", "jsonl")
    assert {path: path.read_bytes() for path in before} == before and os.listdir(outside) == ["rc"]
    assert await TaskLists({}).write([task("T1")], "jsonl", str(outside / "new.jsonl"), str(root))
