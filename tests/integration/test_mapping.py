"""Maps of real repositories, by the real program: what is read once is not read again, and nothing odd breaks it."""

import subprocess
import sys
from pathlib import Path

import pytest

from heddle import mapping
from heddle.adapters import maps
from heddle.adapters.git import GitRepository, open_repository
from heddle.adapters.git.history import blobs, touched
from heddle.adapters.imports import statements
from heddle.adapters.maps import ChildMaps
from heddle.core.errors import OutsideError
from heddle.core.map.history import useful
from heddle.ports import Mapped, Words
from support.fleet import git, make_repository

ENV = {"PYTHONPATH": ":".join(sys.path), "PATH": "/usr/local/bin:/usr/bin:/bin"}


def commit(path: Path, *names: str, message: str = "work") -> str:
    for name in names:
        (path / name).parent.mkdir(parents=True, exist_ok=True)
        with (path / name).open("a") as file:
            file.write("# more\n")
    git(path, "add", "-A")
    git(path, "commit", "-q", "-m", message)
    return git(path, "rev-parse", "HEAD")


async def drawn(folder: Path, repository: GitRepository) -> Mapped:
    """By a Heddle that remembers nothing itself."""
    return await ChildMaps(folder, ENV).map(repository, await repository.resolve("HEAD"))


async def test_what_came_since_is_read_and_the_rest_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = make_repository(tmp_path / "r", {"a.py": "import b\n", "b.py": "", "c.py": "", "Ünï\n.ts": 'import "./x"'})
    for _ in range(3):
        commit(path, "a.py", "b.py")
    repository = await open_repository(path)
    first = await drawn(tmp_path / "maps", repository)
    assert (first.chart.commits, first.chart.files, first.unread, first.shallow) == (4, 4, 0, False)
    assert (first.chart.modular, first.chart.at_once) == (None, 1)
    git(path, "mv", "a.py", "renamed.py")
    commit(path, message="call it otherwise")
    commit(path, "renamed.py", "c.py")
    newer = await drawn(tmp_path / "maps", repository)
    assert newer.chart.commits == 6
    assert newer == await drawn(tmp_path / "fresh", repository)
    assert any("renamed.py" in part.files and "b.py" in part.files for part in newer.chart.parts)
    git(path, "reset", "-q", "--hard", first.tip)  # another line than the one that is kept
    commit(path, "b.py")
    again = await drawn(tmp_path / "maps", repository)
    assert again.chart.commits == 5
    for kept in (tmp_path / "maps").glob("*/*"):
        kept.write_bytes(b"\x00not what it was")
    assert again == await drawn(tmp_path / "maps", repository)
    monkeypatch.setattr(maps, "PROGRAM", ("/bin/false",))
    with pytest.raises(OutsideError) as caught:
        await drawn(tmp_path / "maps", repository)
    assert caught.value.slug == "map-failed"


async def test_a_clone_that_holds_less_still_gives_a_map_and_says_what_it_lacks(tmp_path: Path) -> None:
    path = make_repository(tmp_path / "r", {"a.py": "import b\n", "b.py": "x = 1\n"})
    commit(path, "a.py", "b.py")
    git(path, "config", "uploadpack.allowFilter", "true")
    for name, how in (("shallow", "--depth=1"), ("partial", "--filter=blob:none")):
        subprocess.run(
            ["git", "clone", "-q", "--no-checkout", how, path.as_uri(), tmp_path / name],
            check=True,
            capture_output=True,
        )
    shallow = await drawn(tmp_path / "maps", await open_repository(tmp_path / "shallow"))
    assert shallow.shallow and shallow.chart.commits == 1
    partial = await drawn(tmp_path / "maps", await open_repository(tmp_path / "partial"))
    assert partial.unread == 2 and partial.why_unread
    assert partial.chart.commits == 2 and not partial.shallow


async def test_the_past_is_read_as_git_has_it(tmp_path: Path) -> None:
    path = make_repository(tmp_path / "r", {"M": "one\n", "old": "two\n" * 30})
    git(path, "commit", "-q", "--allow-empty", "-m", "M\n\nR100")
    git(path, "mv", "old", "new")
    git(path, "commit", "-q", "-m", "\x1b[31m odd: é")
    (path / "bad-\udcff").write_text("x")
    tip = commit(path, "M")
    store = (await open_repository(path)).store
    past = await touched(store, tip)
    assert [one.paths for one in past] == [("M", "bad-\N{REPLACEMENT CHARACTER}"), ("new",), (), ("M", "old")]
    assert past[1].renamed == (("old", "new"),) and past[1].message == "\x1b[31m odd: é\n"
    assert [one.paths for one in useful(past)][-1] == ("M", "new")
    assert sorted(await blobs(store, tip)) == ["M", "bad-\N{REPLACEMENT CHARACTER}", "new"]
    assert [one.id for one in await touched(store, tip, past[2].id)] == [past[0].id, past[1].id]


@pytest.mark.parametrize(
    ("path", "text", "said"),
    [
        (
            "a.py",
            "import a.b\ntry:\n from ..q import *\nexcept E:\n def f():\n  from . import x\n",
            {"a.b", "..q", ".x"},
        ),
        (
            "a.js",
            'import a from "./b"; const x = require("./c"); f("./no"); export * from "./d"',
            {"./b", "./c", "./d"},
        ),
        ("a.ts", 'import type {A} from "./b"; import x = require("./c"); await import("./d")', {"./b", "./c", "./d"}),
        ("a.tsx", 'import A from "./b"; export default () => <A/>', {"./b"}),
        ("a.go", 'package a\nimport (\n x "m/p"\n "fmt"\n)', {"m/p", "fmt"}),
        (
            "a.rs",
            "use crate::a::{b, c::{d, e as f}, g::*}; mod foo; mod inner { use self::k; }",
            {"crate::a::b", "crate::a::c::d", "crate::a::c::e", "crate::a::g", "mod foo", "self::k"},
        ),
        ("a.java", "import a.c.D; import static a.E.f; import b.*; class X {}", {"a.c.D", "a.E.f", "b"}),
        ("a.md", "import x", set()),
    ],
)
def test_imports_are_read_as_each_language_writes_them(path: str, text: str, said: set[str]) -> None:
    assert set(statements(path, text.encode())) == said


@pytest.mark.parametrize("name", ["a.py", "a.ts"])
def test_a_file_that_no_parser_reads_imports_nothing_and_breaks_nothing(name: str) -> None:
    for data in (b"\x00\xff\xfe", b"{[" * 20_000, b"import \xff", b"x" * 500_000, b"# coding: no\nx"):
        assert not set(statements(name, data)) - {"\N{REPLACEMENT CHARACTER}"}


async def test_what_tasks_will_change_is_told_from_the_past_and_by_names_where_it_is_short(tmp_path: Path) -> None:
    path = make_repository(tmp_path / "r", {"src/a.py": "", "src/b.py": "", "docs/c.md": ""})
    commit(path, "src/a.py", "src/b.py")
    repository = await open_repository(path)
    asked = [Words("mend src/a.py"), Words("anything"), Words("write", ("docs/**",))]
    told = await ChildMaps(tmp_path / "maps", ENV).foresee(repository, await repository.resolve("HEAD"), asked)
    assert told.calibration.why == "not enough history: 2 of 200 commits that tell something"
    assert [sorted(one) for one in told.predictions] == [["src/a.py"], [], ["docs/c.md"]]


async def test_packages_are_known_by_the_names_they_give_themselves(tmp_path: Path) -> None:
    texts = {"core": '{"name": "@me/core"}', "odd": '{"name": 7}', "broken": "{", "bare": "{}"}
    files = {f"packages/{name}/package.json": text for name, text in texts.items()}
    store = (await open_repository(make_repository(tmp_path / "r", files))).store
    found = await mapping._packages(store, await blobs(store, git(tmp_path / "r", "rev-parse", "HEAD")))
    assert found == {"@me/core": "packages/core"}
