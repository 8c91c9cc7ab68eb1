"""Lists that are huge, malformed, hostile or no files at all: refused with a word on what is wrong, and never half read."""

import json
import os
import socket
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from heddle.adapters.trackers import TaskLists, files
from heddle.adapters.trackers.checklist import items
from heddle.adapters.trackers.files import SIZE_LIMIT, name_of
from heddle.adapters.trackers.github import github_tasks
from heddle.adapters.trackers.lists import told_format
from heddle.adapters.trackers.speckit import speckit_tasks
from heddle.adapters.trackers.telling import ITEM_LIMIT, TEXT_LIMIT, plain
from heddle.core.errors import HeddleError, UserError
from heddle.core.links import Link, LinkKind
from heddle.ports import FORMATS, Listed


async def read(where: Path | str, format: str = "", root: str = "/nowhere") -> tuple[Listed, ...]:
    return await TaskLists({}).listed(str(where), format, root)


async def refused(where: Path | str, format: str = "") -> UserError:
    with pytest.raises(UserError) as caught:
        await read(where, format)
    assert caught.value.hint and caught.value.message.isprintable()
    return caught.value


async def test_a_file_past_the_bound_is_refused_before_it_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    large = tmp_path / "issues.jsonl"
    with large.open("wb") as stream:
        stream.truncate(100 * 1024 * 1024)
    reads: list[int] = []
    real = os.read
    with monkeypatch.context() as patched:
        patched.setattr(files.os, "read", lambda number, size: reads.append(size) or real(number, size))
        error = await refused(large)
        assert error.slug == "list-too-large" and f"{SIZE_LIMIT // 1024 // 1024} MiB" in error.message
        assert sum(reads) < 1_000_000  # but for what the event loop reads itself
        patched.setattr(files.os, "fstat", lambda number: os.stat(tmp_path / "small"))
        (tmp_path / "small").touch()  # one that grows, or that tells no size
        assert (await refused(large)).slug == "list-too-large"


async def test_what_is_no_file_is_refused_without_waiting(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "loop").symlink_to("loop")
    (tmp_path / "closed.md").write_text("- [ ] One\n")
    (tmp_path / "closed.md").chmod(0)
    told = {str(path): (await refused(path)).message for path in (tmp_path / "pipe", "/dev/zero", tmp_path / "loop")}
    assert "a pipe, not a file" in told[str(tmp_path / "pipe")] and "a device, not a file" in told["/dev/zero"]
    assert "cannot be read" in told[str(tmp_path / "loop")]
    names = ("none.md", "closed.md/x", "a\0b", "\udcff", "x" * 5000, "new\nline\x1b[2J")
    assert [(await refused(tmp_path / name)).slug for name in names] == ["list-unreadable"] * len(names)
    if os.getuid():
        assert "Permission denied" in (await refused(tmp_path / "closed.md")).message
    for format in ("markdown", "github", "jsonl"):
        assert (await refused(tmp_path, format)).slug == "not-a-file"


async def test_a_socket_is_refused(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as listening:
        here = os.getcwd()
        os.chdir(tmp_path)
        try:
            listening.bind("s")
        finally:
            os.chdir(here)
        assert (await refused(tmp_path / "s")).slug == "list-unreadable"


async def test_a_link_that_the_person_named_is_followed_and_one_that_was_found_is_not(tmp_path: Path) -> None:
    root, outside = tmp_path / "root", tmp_path / "outside"
    (root / "specs" / "001-a").mkdir(parents=True)
    outside.mkdir()
    (outside / "TODO.md").write_text("- [ ] One\n")
    (outside / "tasks.md").write_text("- [ ] T001 One\n")
    (root / "TODO.md").symlink_to(outside / "TODO.md")
    (root / "specs" / "001-a" / "tasks.md").symlink_to(outside / "tasks.md")
    (task,) = await read(root / "TODO.md", root=str(root))
    assert task.source.startswith("markdown:TODO.md#")
    assert (await refused(root)).slug == "unknown-format"
    assert len(await read(root / "specs" / "001-a" / "tasks.md", root=str(root))) == 1


def test_a_list_is_called_by_its_place_in_the_repository(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to("real")
    real, link = str(tmp_path / "real"), str(tmp_path / "link")
    assert (
        name_of(f"{real}/docs/../a.md", real)
        == name_of(f"{link}/a.md", real)
        == name_of(f"{real}/a.md", link)
        == "a.md"
    )
    assert name_of(f"{tmp_path}/b.md", real) == f"{tmp_path}/b.md" and name_of(f"{real}x/b.md", real) == f"{real}x/b.md"


async def test_bytes_that_are_not_utf8_are_refused_with_the_line(tmp_path: Path) -> None:
    (tmp_path / "a.md").write_bytes(b"- [ ] one\n- [ ] caf\xe9\n")
    error = await refused(tmp_path / "a.md")
    assert error.slug == "not-utf-8" and "line 2" in error.message
    (tmp_path / "b.md").write_text("- [ ] one\n", "utf-16")
    assert (await refused(tmp_path / "b.md")).slug == "not-utf-8"
    (tmp_path / "c.md").write_bytes(b"\xef\xbb\xbf- [ ] one\r\n")
    assert (await read(tmp_path / "c.md"))[0].text.startswith("one\n")


@pytest.mark.parametrize(
    ("file", "content", "words"),
    [
        ("b.jsonl", '{"id":"a","title":"A"}\n\n{"id":"b",\n', "line 3"),
        ("b.jsonl", '{"id":"a","title":"A"}\n[1]\n', "line 2: .*an object"),
        ("b.jsonl", '{"id":"a","title":"A"}\n' + "[" * 100_000 + "\n", "line 2: .*too deeply"),
        ("b.jsonl", '{"id":"a","title":"A"}\n{"id":"b","title":"B","priority":' + "9" * 5000 + "}\n", "line 2"),
        ("b.jsonl", '{"id":"a","title":"A"}\n{"title":"B"}\n', "line 2: an issue without an id"),
        (".beads/issues.jsonl", "<<<<<<< HEAD\n", "line 1"),
        ("t.jsonl", '{"id":"T1","text":"A"}\n{"id":"T2","text":" "}\n', "line 2: an id, a text"),
        ("t.jsonl", '{"id":"T1","text":"A","links":[{"kind":"likes","task":"T2"}]}\n', "line 1: a link"),
        ("t.jsonl", '{"id":"T1","text":"A","priority":true}\n', "line 1: a priority"),
        ("t.jsonl", '{"id":"T1","text":"A","lane":"fast"}\n', "line 1: a lane"),
        ("i.json", '[{"number":1},\n{"number":2,]', "line 2"),
        ("i.json", '[{"number":1}, "two"]', "no issue in"),
        ("i.json", '[{"number":-1}]', "number is -1"),
        ("i.json", '[{"number":1}' + "," + "[" * 20 + "]" * 20 + "]", "no issue in"),
    ],
)
async def test_malformed_json_is_refused_with_the_line(tmp_path: Path, file: str, content: str, words: str) -> None:
    path = tmp_path / file
    path.parent.mkdir(exist_ok=True)
    path.write_text(content)
    with pytest.raises(UserError, match=words) as caught:
        await read(path)
    assert caught.value.slug == "bad-json" and len(caught.value.message) < 600


async def test_an_answer_that_holds_no_issues_is_no_empty_list(tmp_path: Path) -> None:
    (tmp_path / "i.json").write_text('{"message": "API rate limit exceeded", "status": "403"}')
    error = await refused(tmp_path / "i.json", "github")
    assert error.slug == "bad-json" and "rate limit" in error.message


async def test_the_same_name_twice_with_different_content_is_refused(tmp_path: Path) -> None:
    one, other = '{"id":"bd-1","title":"One"}\n', '{"id":"bd-1","title":"Other"}\n'
    path = tmp_path / "b.jsonl"
    path.write_text(one + "\n" + one)
    assert len(await read(path)) == 1
    path.write_text(one + "\n" + other)
    error = await refused(path)
    assert error.slug == "duplicate-id" and "'bd-1'" in error.message and "lines 1 and 3" in error.message
    (tmp_path / "tasks.md").write_text("- [ ] T001 One\n- [ ] T002 Two\n- [ ] T001 Other\n")
    assert "lines 1 and 3" in (await refused(tmp_path / "tasks.md")).message


async def test_links_in_circles_and_to_nowhere_are_told_as_they_are(tmp_path: Path) -> None:
    def on(mine: str, other: str) -> str:
        links = [{"issue_id": mine, "depends_on_id": one, "type": "blocks"} for one in (other, other, mine)]
        return json.dumps({"id": mine, "title": mine, "dependencies": links}) + "\n"

    (tmp_path / "b.jsonl").write_text(on("a", "b") + on("b", "a") + on("c", "gone"))
    told = [task.links for task in await read(tmp_path / "b.jsonl")]
    assert told == [(Link(LinkKind.BLOCKS, f"beads:{other}"),) for other in ("b", "a", "gone")]


async def test_more_tasks_than_the_bound_are_refused(tmp_path: Path) -> None:
    lines = [f"- [ ] number {n}\n" for n in range(ITEM_LIMIT + 1)]
    path = tmp_path / "TODO.md"
    path.write_text("".join(lines[:-1]))
    assert len(await read(path)) == ITEM_LIMIT
    path.write_text("".join(lines))
    error = await refused(path)
    assert error.slug == "list-too-long" and f"{ITEM_LIMIT} tasks" in error.message


def test_more_links_than_the_bound_are_refused() -> None:
    def phase(number: int) -> str:
        rows = "".join(f"- [ ] T{number}{n:03} [P] x\n" for n in range(400))
        return f"## Phase {number}\n{rows}"

    with pytest.raises(UserError, match="100000 links") as caught:
        speckit_tasks(phase(1) + phase(2), "specs/x", "specs/x/tasks.md")
    assert caught.value.slug == "list-too-long"


HOSTILE = (
    "a\x1b[31mb\x1b]8;;http://x\x07c\x1b]0;t\x1b\\d\x9b2Je\x00\x07f\x7f\u202eg\u2066\ufeffh\ti\r\nj\u2028k\x1bPq\x1b\\l"
)


async def test_escapes_and_control_characters_are_taken_out(tmp_path: Path) -> None:
    raw = {"number": 1, "title": HOSTILE + "\ud800", "body": HOSTILE, "labels": [{"name": HOSTILE}, 3, {"name": 4}]}
    (tmp_path / "i.json").write_text(json.dumps([raw]))
    (task,) = await read(tmp_path / "i.json")
    assert task.text == "abcdefgh i j kl\n\nabcdefgh\ti\nj\nkl"
    (tmp_path / "TODO.md").write_text(f"- [ ] {HOSTILE}\n", newline="")
    (listed,) = await read(tmp_path / "TODO.md")
    assert listed.text.startswith("abcdefgh i")


async def test_a_text_past_the_bound_is_cut_and_says_so(tmp_path: Path) -> None:
    (tmp_path / "i.json").write_text(json.dumps([{"number": 1, "title": "t" * 60_000, "body": "b" * 60_000}]))
    (task,) = await read(tmp_path / "i.json")
    assert len(task.text) == TEXT_LIMIT and task.text.endswith("(cut here: 120002 characters in all)")
    (tmp_path / "i.json").write_text(json.dumps([{"number": 1, "title": None, "body": {}, "labels": {}, "state": 1}]))
    assert (await read(tmp_path / "i.json"))[0].text == "issue 1"


@pytest.mark.parametrize(
    "text",
    [
        "\n" * 3_000_000,
        "\n" * 400_000,
        "- [ ] " + "[](" * 300_000,
        "# a" + " " * 1_000_000 + "b",
        "- " * 500_000 + "x",
        "\x1b]" * 500_000,
        "\n".join(" " * n + "- [ ] x" for n in range(0, 4000, 2)),
        "Blocked by " + "#1 " * 300_000,
        "```" + "`" * 500_000,
        "T001 [" * 200_000,
    ],
)
@pytest.mark.timeout(30)
def test_no_text_takes_long(text: str) -> None:
    """Each took minutes, or would have, with a pattern that looks at what it looked at before."""
    plain(text)
    for reader in (
        lambda: items(text),
        lambda: told_format("/x/tasks.md", text),
        lambda: speckit_tasks(text, "s", "s/tasks.md"),
        lambda: github_tasks(json.dumps([{"number": 1, "title": text, "body": text}]), "i.json"),
    ):
        try:
            reader()
        except UserError:
            pass


@given(
    st.lists(
        st.one_of(
            st.sampled_from(
                [
                    "- [ ] T001 [P] x\n",
                    "  - [x] y\n",
                    "```\n",
                    "## Phase 1\n",
                    "<!--",
                    "-->\n",
                    "{",
                    '"number":1}',
                    "\r\n",
                    "\t",
                ]
            ),
            st.text(max_size=20),
            st.characters(),
        ),
        max_size=30,
    ).map("".join),
    st.sampled_from(["", *FORMATS]),
    st.sampled_from(["tasks.md", "issues.jsonl", "x"]),
)
@settings(deadline=None, max_examples=300)
async def test_any_text_is_read_or_refused(
    tmp_path_factory: pytest.TempPathFactory, text: str, format: str, file: str
) -> None:
    path = tmp_path_factory.getbasetemp() / f"any-{file}"
    path.write_bytes(text.encode("utf-8", "surrogatepass"))
    try:
        tasks = await read(path, format)
    except HeddleError:
        return
    for task in tasks:
        assert task.text.strip() and len(task.text) <= TEXT_LIMIT and plain(task.text) == task.text
        assert task.source.isprintable() and task.source.encode()
    assert tasks == await read(path, format)
