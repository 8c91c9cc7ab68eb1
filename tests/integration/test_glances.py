"""A look that asks no git tells what git would tell, line for line, or leaves it to git; and so does a removal."""

import os
import random
import subprocess
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from heddle.adapters.git import open_repository
from heddle.adapters.git.composing import Known, compose
from heddle.adapters.sandbox.box import Box
from heddle.adapters.workspaces.instant.counting import count
from heddle.adapters.workspaces.instant.ignored import Ignored
from heddle.adapters.workspaces.instant.workspace import InstantWorkspace
from heddle.ports import Changes, Entry, Ran, Workspace, Workspaces
from repositories import Sample, files_below
from support.yard import LIMIT, Yard

FILES = {
    "long": "".join(f"line {n}\n\n" for n in range(80)),
    "deep/er/one": "1\n",
    "deep/er/two": "2\n",
    "sub/tracked/kept": "in an ignored folder\n",
    "bare": "no end",
    "binary": "a\0b\n",
}

IGNORED = "*.log\n/out/\n**/cache/*\n!keep.log\nsub/tracked/\n"


@pytest_asyncio.fixture
async def yard(tmp_path: Path) -> AsyncIterator[Yard]:
    made = Yard("instant", tmp_path / "state", Path(os.environ["HEDDLE_RUNTIME_DIR"]), Sample(tmp_path))
    made.sample.commit(FILES)
    made.sample.commit({".gitignore": IGNORED})
    yield made
    await made.close()


async def by_git(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> Changes:
    """What git in the box tells."""

    async def blind(_: object) -> None:
        return None

    with monkeypatch.context() as patch:
        patch.setattr(InstantWorkspace, "glance", blind)
        workspace._house.looks.clear()  # type: ignore[attr-defined]
        return await workspace.changes()


async def at_a_glance(workspace: Workspace) -> Changes | None:
    assert isinstance(workspace, InstantWorkspace)
    return await workspace.glance()


PLAIN = {
    "lines here and there": "sed -i -e 3d -e '40s/$/ more/' -e '70a new' -e '71a\\\\' long; printf x >> bare",
    "all lines others": "seq 500 > long; : > README",
    "new files, some ignored": "echo n > new; echo l > a.log; echo k > keep.log; mkdir out deep/cache; touch out/x deep/cache/y; "
    "printf 'a\\0' > bin; : > empty; echo u > sub/tracked/unknown; mkdir nothing",
    "a change of what is ignored by now": "echo more >> sub/tracked/kept; rm deep/er/one",
    "a folder gone": "rm -r deep; rm binary",
    "a folder anew": "rm -r deep; mkdir -p deep/er; echo 2 > deep/er/two; echo 3 > deep/er/three",
    "rights": "chmod +x long; chmod +x bare; printf '\\nend\\n' >> bare",
    "touched only": "touch long; mv long other; mv other long; cp -p README README2; mv README2 README",
    "ignored in a new way": "echo 'new*' >> .gitignore; echo n > new1; mkdir in; echo '!new2' > in/.gitignore; touch in/new2 in/new3",
    "the list gone": "rm .gitignore; echo l > a.log",
    "names of any bytes": "echo x > \"$(printf 'a\\377\\n b')\"; echo y > 'ü'",
    "git asked, nothing written": "echo n > new; git status; git diff; git log",
}
ODD = {
    "an index of its own": "echo n > new; git add new",
    "known to the index alone": "git rm -q --cached README; echo README >> .gitignore",
    "a link": "ln -s README link",
    "a file for a folder": "rm -r deep; echo d > deep",
    "a folder for a file": "rm long; mkdir long; echo l > long/file",
    "a repository inside": "git init -q inner; echo i > inner/file",
    "attributes": "echo '* text eol=lf' > .gitattributes; printf 'a\\r\\n' > crlf",
    "settings": "git config --global core.autocrlf input; printf 'a\\r\\n' > crlf",
    "too large": f"head -c {LIMIT + 1} /dev/zero > large",
    "a list that is hard to read": "echo '[[:digit:]]' > .gitignore; echo d > 1; echo x > x",
}


@pytest.mark.parametrize("kind", ["plain", "odd"])
async def test_a_glance_tells_what_git_would_or_nothing(kind: str, yard: Yard, monkeypatch: pytest.MonkeyPatch) -> None:
    house = await yard.open()
    for number, (what, script) in enumerate((PLAIN if kind == "plain" else ODD).items()):
        workspace = await yard.make(house, f"t{number}")
        await yard.run(workspace, script)
        told = await at_a_glance(workspace)
        assert (told is None) == (kind == "odd"), what
        if told is not None:
            assert told == await by_git(workspace, monkeypatch), what


async def test_a_glance_at_what_began_with_changes_tells_those_too(yard: Yard, monkeypatch: pytest.MonkeyPatch) -> None:
    house = await yard.open()
    begun = yard.sample.aside({"more": "m\n", "README": "other\n"})
    workspace = await yard.make(house, "t1", start=begun)
    await yard.run(workspace, "echo n > new; rm long")
    told = await at_a_glance(workspace)
    assert told is not None
    assert [change.path for change in told.paths] == ["README", "long", "more", "new"]
    assert told == await by_git(workspace, monkeypatch)
    await yard.run(workspace, "echo >> more")
    assert await at_a_glance(workspace) is None, "of what both changed, git tells"


async def test_a_base_that_somebody_changed_is_not_glanced_at(yard: Yard) -> None:
    house = await yard.open()
    workspace = await yard.make(house)
    await yard.run(workspace, "echo more >> long")
    assert await at_a_glance(workspace) is not None
    (yard.folder / "bases" / yard.base / "tree" / "long").write_text("somebody else's\n")
    assert await at_a_glance(workspace) is None


# ------------------------------------------------------------------------------------------------ removal


async def removed_and_back(house: Workspaces, workspace: Workspace, path: Path) -> dict[str, Any]:
    removal = await workspace.remove()
    assert removal.trashed
    await house.restore(removal.recovery, path)
    return {str(name): (path / name).stat().st_mode for name in files_below(path)}


async def test_w1_plain_work_is_kept_without_asking_git_just_as_git_keeps_it(
    yard: Yard, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    house = await yard.open()
    script = (
        f"{PLAIN['lines here and there']}; {PLAIN['new files, some ignored']}; {PLAIN['a folder gone']}; chmod +x bare"
    )
    script += (
        "; head -c 100000 /dev/urandom > huge; mkdir -p far/a far.d; echo 1 > far/a/b; echo 2 > far.d/c; echo 3 > far-e"
    )
    workspace = await yard.make(house, "t1")
    await yard.run(workspace, script)
    snapshot, stash = await workspace._read(whole=True)  # type: ignore[attr-defined]

    async def nowhere(*_: Any, **__: Any) -> Ran:
        raise AssertionError("asked in a box")

    with monkeypatch.context() as patch:
        patch.setattr(Box, "run_in", nowhere)
        plain = await removed_and_back(house, workspace, tmp_path / "plain")
    kept = yard.sample.git("for-each-ref", "--format=%(objectname)", "refs/heddle/recovery")
    assert yard.sample.git("rev-parse", f"{kept}^{{tree}}") == snapshot.worktree
    assert not stash
    assert {"huge", "new", "keep.log", "far/a/b", "far.d/c", "far-e"} <= plain.keys()
    assert not {"a.log", "deep/er/one", "out/x"} & plain.keys()
    assert plain["bare"] & 0o100

    other = await yard.make(house, "t2")
    await yard.run(other, f"{script.replace('/dev/urandom', '/dev/zero')}; git add -A; git reset -q")
    asked = await removed_and_back(house, other, tmp_path / "asked")
    assert asked == plain
    assert yard.sample.git("fsck", "--strict", "--no-dangling") == ""


@pytest.mark.parametrize("script", ["git add new", "git stash -uq", "git commit -qam own", "git checkout -qb mine"])
async def test_w1_what_the_session_did_with_git_is_asked_of_git(script: str, yard: Yard) -> None:
    workspace = await yard.make(await yard.open())
    await yard.run(workspace, f"echo n > new; echo more >> long; {script}")
    assert await workspace._read_plain() is None  # type: ignore[attr-defined]
    assert (await workspace.remove()).recovery


@pytest.mark.parametrize("algorithm", ["sha1", "sha256"])
async def test_a_tree_is_composed_as_git_would_write_it(algorithm: str, tmp_path: Path) -> None:
    env = {**Sample(tmp_path).env, "GIT_DEFAULT_HASH": algorithm}
    place = tmp_path / "other"
    place.mkdir()

    def git(*words: str) -> str:
        return subprocess.run(("git", *words), cwd=place, env=env, check=True, capture_output=True, text=True).stdout

    def write(files: dict[str, str]) -> None:
        for name, text in files.items():
            (place / name).parent.mkdir(parents=True, exist_ok=True)
            (place / name).write_text(text)

    git("init", "-q")
    write({"a": "1", "a.b/x": "2", "a-b": "3", "z/y/x/w": "4", "z/y/v": "5", "gone/far": "6", "line\nfeed/x": "7"})
    git("add", "-A")
    git("commit", "-qm", "one")
    commit = git("rev-parse", "HEAD").strip()
    store = (await open_repository(place, env)).store
    changed = {"a": "new", "z/y/x/w": "new", "new/in/here": "n" * 100_000, "a0": "", "line\nfeed/y": "8"}
    entries = [Entry(path, "100644", text.encode()) for path, text in changed.items()]
    known: Known = {}
    await compose(store, commit, [Entry("z/y/u", "100755", b"before")], known)
    found = await compose(store, commit, [*entries, Entry("gone/far", "", b""), Entry("z/y/v", "", b"")], known)
    write(changed)
    for name in ("gone/far", "z/y/v"):
        (place / name).unlink()
    git("add", "-A")
    assert found == git("write-tree").strip()
    assert await compose(store, commit, [], known) == git("rev-parse", f"{commit}^{{tree}}").strip()


# ------------------------------------------------------------------------------------------------ as git does


@pytest.fixture
def git(tmp_path: Path) -> Callable[..., bytes]:
    env = {"PATH": os.environ["PATH"], "HOME": str(tmp_path), "GIT_CONFIG_NOSYSTEM": "1"}

    def run(*words: str, stdin: bytes = b"") -> bytes:
        return subprocess.run(
            ("git", *words), cwd=tmp_path, env=env, input=stdin, check=True, capture_output=True
        ).stdout

    run("init", "-q")
    return run


def text(chance: random.Random, length: int) -> list[bytes]:
    frequent = [b"\n", b"}\n", b"x\n"]
    pool = frequent + [b"line %d\n" % n for n in range(chance.choice([5, 40, 400]))]
    return [chance.choice(pool if chance.random() < 0.8 else frequent) for _ in range(length)]


def edited(chance: random.Random, lines: list[bytes]) -> bytes:
    lines = list(lines)
    for _ in range(chance.randint(0, 8)):
        at, end = chance.randint(0, len(lines)), chance.randint(0, 12)
        fresh = [b"\n", b"}\n", b"new %d\n" % chance.randint(0, 50), b"line %d\n" % chance.randint(0, 40)]
        lines[at : at + chance.choice([0, end])] = chance.choices(fresh, k=chance.choice([0, end]))
    data = b"".join(lines)
    return data[:-1] if chance.random() < 0.2 else data


def test_lines_are_counted_as_git_counts_them(git: Callable[..., bytes]) -> None:
    chance = random.Random(7)
    texts = [text(chance, chance.choice([0, 1, 5, 30, 120, 600])) for _ in range(400)]
    pairs = [
        (edited(chance, lines) if chance.random() < 0.3 else b"".join(lines), edited(chance, lines)) for lines in texts
    ]
    drowned = [b"x\n"] * 40  # frequent lines among rare ones: git does not look for their like
    pairs.append((b"".join(drowned), b"".join([*drowned, *(b"r%d\n" % n + b"x\n" * (n % 9 == 8) for n in range(60))])))
    pairs.append(
        (b"".join([b"q\n", *drowned]), b"".join([*(b"r%d\n" % n + b"x\n" * (n % 9 == 8) for n in range(60)), *drowned]))
    )
    for which in (0, 1):
        files = b"".join(
            b"M 100644 inline f%d\ndata %d\n%s\n" % (n, len(pair[which]), pair[which]) for n, pair in enumerate(pairs)
        )
        head = b"commit refs/heads/side%d\ncommitter a <a@example.com> 1 +0000\ndata 1\nx\n" % which
        git("fast-import", "--quiet", stdin=head + files)
    told = git("diff-tree", "-r", "-z", "--numstat", "--no-renames", "side0", "side1").decode().split("\0")[:-1]
    counts = {path: (int(added), int(gone)) for added, gone, path in (record.split("\t") for record in told)}
    for number, (before, after) in enumerate(pairs):
        assert count(before, after) == counts.get(f"f{number}", (0, 0)), (before, after)


PIECES = (
    *(
        b"a",
        b"b",
        b"*",
        b"?",
        b"**",
        b"[ab]",
        b"[!a]",
        b"[a-z]",
        b"*.py",
        b"*.py[cod]",
        b"build",
        b"lib",
        b"\\#t",
        b"x y",
    ),
    *("ü".encode(), b"ab", b"*b", b"a*", b"a-b", b"\\a", b"[^b]*", b".", b"-", b"a**"),
)
NAMES = (b"a", b"b", b"ab", b"a.py", b"b.pyc", b"build", b"x y", "ü".encode(), b"#t", b"!n", b"a-b", b"A", b"lib")


def pattern(chance: random.Random) -> bytes:
    words = [
        b"".join(chance.choices(PIECES, k=chance.choice([1, 1, 1, 2]))) for _ in range(chance.choice([1, 1, 1, 2, 3]))
    ]
    ends = [
        chance.choices([there, b""], [weight, 1 - weight])[0]
        for there, weight in ((b"!", 0.2), (b"/", 0.25), (b"/", 0.3))
    ]
    tail = chance.choices([b"", b"  ", b"\r"], [0.9, 0.05, 0.05])[0]
    return chance.choices([b"", b"#"], [0.95, 0.05])[0] + ends[0] + ends[1] + b"/".join(words) + ends[2] + tail


def test_what_is_ignored_is_ignored_by_git(git: Callable[..., bytes], tmp_path: Path) -> None:
    chance = random.Random(11)
    paths = {b"/".join(chance.choices(NAMES, k=chance.randint(1, 4))) for _ in range(150)}
    folders = {b"/".join(path.split(b"/")[:n]) for path in paths for n in range(1, path.count(b"/") + 1)}
    root, told_apart = os.fsencode(tmp_path), 0
    for path in (paths := paths - folders):
        os.makedirs(os.path.dirname(root + b"/" + path), exist_ok=True)
        open(root + b"/" + path, "wb").close()
    for _ in range(80):
        places = [b"", *(folder + b"/" for folder in chance.sample(sorted(folders), 2))]
        lists = {at: b"\n".join(pattern(chance) for _ in range(chance.randint(0, 4))) for at in places}
        shared = b"\n".join(pattern(chance) for _ in range(chance.randint(0, 2)))
        for at, listed in lists.items():
            (tmp_path / os.fsdecode(at) / ".gitignore").write_bytes(listed)
        (tmp_path / ".git/info/exclude").write_bytes(shared)
        shown = set(git("ls-files", "-z", "--others", "--exclude-standard").split(b"\0")[:-1])
        here = paths | {at + b".gitignore" for at in places}
        for at in lists:
            (tmp_path / os.fsdecode(at) / ".gitignore").unlink()
        try:
            ignored = Ignored(lambda at, lists=lists: lists.get(at, b""), shared)  # type: ignore[misc]
            found = {path for path in here if not is_hidden(ignored, path)}
        except ValueError:
            continue
        assert found == shown, (lists, shared)
        told_apart += 0 < len(shown) < len(here)
    assert told_apart > 20


def is_hidden(ignored: Ignored, path: bytes) -> bool:
    above = [path[:at] for at in range(len(path)) if path[at : at + 1] == b"/"]
    return any(ignored.hides(folder, folder=True) for folder in above) or ignored.hides(path, folder=False)


def test_what_is_made_to_take_long_is_left_to_git() -> None:
    """Lists, names and texts are an agent's: a pattern that tries each place for each star would never end."""
    long = b"a" * 250
    for listed in (b"*a" * 30 + b"b", b"x\n" * 3_000):
        with pytest.raises(ValueError, match=r".*"):
            Ignored(lambda _, listed=listed: listed, b"").hides(long, folder=False)  # type: ignore[misc]
    assert Ignored(lambda _: b"**/cache/**/*.tmp", b"").hides(b"x/cache/y/z.tmp", folder=False)
    lines = [b"%d\n" % (n % 7) for n in range(50_000)]
    assert count(b"a" + b"".join(lines) + b"b", b"c" + b"".join(lines) + b"d") is None
