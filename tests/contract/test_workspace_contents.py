"""What every Workspaces provider makes of repositories as they are in the world: what they hold, and how they are set.

A provider takes it all in, or says by name what it leaves out. Nothing here looks at a tree from outside.
"""

import asyncio
import shlex
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from heddle.core.errors import OutsideError
from heddle.ports import Collected, Workspace, WorkspaceOrder, Workspaces
from repositories import Sample, files_below
from support.yard import LIMIT, Yard

pytestmark = pytest.mark.asyncio

UNCHANGED = "git status --porcelain; find . -name .git -prune -o -type f -exec touch {} +; git status --porcelain"
"""By its times, and once more with a look into every file."""


def told(changes: object) -> dict[str, str]:
    return {change.path: change.kind for change in changes.paths}  # type: ignore[attr-defined]


async def fresh(yard: Yard, house: Workspaces, id: str = "t1") -> Workspace:
    """A new workspace in which nothing differs from its commit, also for a git that reads every file."""
    workspace = await yard.make(house, id)
    assert await yard.run(workspace, UNCHANGED) == ""
    changes = await workspace.changes()
    assert (changes.paths, changes.refused) == ((), ())
    return workspace


async def back(yard: Yard, house: Workspaces, workspace: Workspace) -> Path:
    """Removed and brought back, with something that no result holds: where it is now."""
    await yard.run(workspace, "echo unkept > unkept")
    removal = await workspace.remove()
    path = yard.sample.folder / "back"
    await house.restore(removal.recovery, path)
    return path


def entries(sample: Sample, collected: Collected) -> dict[str, tuple[str, str]]:
    """Mode and content of each file of a result."""
    listing = sample.git("ls-tree", "-r", "-z", collected.tree).split("\0")[:-1]
    found = {}
    for about, _, path in (record.partition("\t") for record in listing):
        mode, kind, id = about.split(" ")
        found[path] = (mode, sample.git("cat-file", "blob", id) if kind == "blob" else id)
    return found


async def collect(workspace: Workspace) -> Collected:
    """The result, whose tree a look told before."""
    told = await workspace.changes()
    collected = await workspace.collect("r")
    assert told.tree == collected.tree
    return collected


# ------------------------------------------------------------------------------------------------ names


async def test_names_that_differ_in_case_alone_are_two_names(yard: Yard, house: Workspaces) -> None:
    yard.sample.commit({"Case": "upper\n", "case": "lower\n", "src/Deep/x": "D\n", "src/deep/x": "d\n"})
    workspace = await fresh(yard, house)
    await yard.run(workspace, "echo more >> case; git mv notes.txt Notes.txt; echo c > src/deep/X")
    collected = await collect(workspace)
    kinds = {"case": "modified", "notes.txt": "deleted", "Notes.txt": "added", "src/deep/X": "added"}
    assert told(collected.changes) == kinds
    held = entries(yard.sample, collected)
    assert (held["Case"][1], held["case"][1], held["src/Deep/x"][1]) == ("upper", "lower\nmore", "D")


async def test_long_paths_are_paths(yard: Yard, house: Workspaces) -> None:
    deep = "/".join(["d" * 60] * 15)
    yard.sample.commit({f"{deep}/{'f' * 250}": "far\n"})
    workspace = await fresh(yard, house)
    await yard.run(workspace, f"cd {deep}; echo more >> {'f' * 250}; echo new > {'g' * 255}")
    collected = await collect(workspace)
    assert told(collected.changes) == {f"{deep}/{'f' * 250}": "modified", f"{deep}/{'g' * 255}": "added"}
    await yard.run(workspace, f"echo u > {deep}/untracked")
    path = await back(yard, house, workspace)
    assert (path / deep / ("f" * 250)).read_text() == "far\nmore\n"
    assert (path / deep / "untracked").read_text() == "u\n"


ODD = b"lat\xe9in".decode("utf-8", "surrogateescape")


async def test_names_may_be_any_bytes_also_of_what_is_left_out(yard: Yard, house: Workspaces) -> None:
    yard.sample.commit({ODD: "o\n", f"{ODD}.d/\ttab\nline": "t\n", 'quote"\\': "q\n", "./-dash": "d\n", "ünï": "u\n"})
    workspace = await fresh(yard, house)
    script = "o=$(printf 'lat\\351in'); n=$(printf 'n\\377w'); echo more >> $o; echo n > $n; rm -- -dash; "
    script += f"head -c {LIMIT + 1} /dev/zero > $n.huge; git init -q $n.inner; echo i > $n.inner/i; echo l > $n.log; "
    await yard.run(workspace, script + "git add -f $n.log")
    collected = await collect(workspace)
    new = ODD.replace("lat", "n").replace("\udce9in", "\udcffw")
    assert told(collected.changes) == {ODD: "modified", new: "added", "-dash": "deleted"}
    left_out = {path.rstrip("/") for path, _ in collected.changes.refused}
    assert left_out == {f"{new}.huge", f"{new}.inner", f"{new}.log"}
    path = await back(yard, house, workspace)
    assert (path / ODD).read_text() == "o\nmore\n"
    assert (path / f"{new}.huge").stat().st_size == LIMIT + 1


# ------------------------------------------------------------------------------------------------ kinds of files


async def test_links_are_what_they_say_and_lead_nobody(yard: Yard, house: Workspaces) -> None:
    secret = yard.sample.folder / "secret"
    secret.write_text("secret\n")
    links = {"dangling": "no/where", "absolute": str(secret), "up": "../../../etc", "loop": "loop", "folder": "src"}
    for name, leads_to in links.items():
        (yard.sample.path / name).symlink_to(leads_to)
    yard.sample.git("add", "-A")
    yard.sample.git("commit", "-q", "-m", "links")
    workspace = await fresh(yard, house)
    script = "readlink dangling absolute up loop folder; echo through > folder/new; ln -sf elsewhere dangling; "
    script += f"rm loop; mkdir loop; echo l > loop/file; ln -s {secret} another; ln -s /no/such/place far"
    assert (await yard.run(workspace, script)).splitlines() == list(links.values())
    collected = await collect(workspace)
    kinds = {"src/new": "added", "dangling": "modified", "loop": "deleted", "loop/file": "added"}
    assert told(collected.changes) == kinds | {"another": "added", "far": "added"}
    held = entries(yard.sample, collected)
    assert {name: held[name] for name in ("dangling", "absolute", "another", "far", "folder")} == {
        "dangling": ("120000", "elsewhere"),
        "absolute": ("120000", str(secret)),
        "another": ("120000", str(secret)),
        "far": ("120000", "/no/such/place"),
        "folder": ("120000", "src"),
    }
    path = await back(yard, house, workspace)
    assert (path / "another").readlink() == secret
    assert (path / "loop" / "file").read_text() == "l\n"
    assert secret.read_text() == "secret\n"


async def test_executable_bits_are_kept_and_told(yard: Yard, house: Workspaces) -> None:
    (yard.sample.path / "tool.sh").chmod(0o755)
    yard.sample.commit({"tool.sh": "#!/bin/sh\necho ran\n", "plain.sh": "#!/bin/sh\n"})
    workspace = await fresh(yard, house)
    assert await yard.run(workspace, "./tool.sh; test ! -x plain.sh") == "ran\n"
    await yard.run(workspace, "chmod -x tool.sh; chmod +x plain.sh; echo x > new; chmod 777 new; chmod 600 README")
    collected = await collect(workspace)
    assert told(collected.changes) == {"tool.sh": "type", "plain.sh": "type", "new": "added"}
    modes = {name: mode for name, (mode, _) in entries(yard.sample, collected).items()}
    assert (modes["tool.sh"], modes["plain.sh"], modes["new"]) == ("100644", "100755", "100755")


async def test_empty_folders_are_no_change_and_no_obstacle(yard: Yard, house: Workspaces) -> None:
    workspace = await fresh(yard, house)
    await yard.run(workspace, "mkdir -p empty/deep/er; mkdir src/more; rm src/app.py; mkdir notes; rmdir notes")
    assert told(await workspace.changes()) == {"src/app.py": "deleted"}
    await yard.run(workspace, "rmdir src/more; rmdir src; echo s > src")
    assert told((await workspace.collect("r")).changes) == {"src/app.py": "deleted", "src": "added"}
    path = await back(yard, house, workspace)
    assert (path / "src").read_text() == "s\n"


async def test_huge_files_stay_huge_where_they_were_and_new_ones_are_not_even_read(
    yard: Yard, house: Workspaces
) -> None:
    yard.sample.commit({"asset": b"\0" * 5_000_000, "kept.bin": b"\1" * 2_000_000})
    workspace = await fresh(yard, house)
    script = "head -c 3000000 /dev/zero | tr '\\0' x >> asset; head -c 12000000 /dev/zero > huge; "
    await yard.run(workspace, script + "echo small > small")
    collected = await collect(workspace)
    assert told(collected.changes) == {"asset": "modified", "small": "added"}
    assert [path for path, _ in collected.changes.refused] == ["huge"]
    absent = "git hash-object huge; git cat-file -e $(git hash-object huge) 2>/dev/null || echo absent"
    if yard.kind != "memory":  # which holds between visits what nobody asked for
        assert (await yard.run(workspace, absent)).splitlines()[1:] == ["absent"]
    path = await back(yard, house, workspace)
    assert (path / "huge").stat().st_size == 12_000_000
    assert (path / "asset").stat().st_size == 8_000_000


# ------------------------------------------------------------------------------------------------ attributes


ENDINGS = {
    ".gitattributes": "*.txt text eol=crlf\n*.sh text eol=lf\n*.dat -text\n",
    "win.txt": "one\r\ntwo\r\n",
    "unix.sh": "#!/bin/sh\n",
    "raw.dat": "a\r\nb\n",
}
SEEN = "for f in win.txt unix.sh raw.dat; do od -An -c $f | tr -d ' \\n'; echo; done"


@pytest.mark.parametrize("autocrlf", ["", "true", "input"])
async def test_line_endings_are_as_the_attributes_say_and_no_line_changes_by_itself(
    yard: Yard, house: Workspaces, autocrlf: str
) -> None:
    yard.sample.commit(ENDINGS)
    if autocrlf:
        yard.sample.git("config", "core.autocrlf", autocrlf)
    workspace = await fresh(yard, house)
    seen = [r"one\r\ntwo\r\n", r"#!/bin/sh\n", r"a\r\nb\n"]
    assert (await yard.run(workspace, SEEN)).splitlines() == seen
    script = r"printf 'three\r\n' >> win.txt; printf 'new\r\n' > new.txt; printf 'x\r\n' >> raw.dat; echo r >> README"
    await yard.run(workspace, script)
    collected = await collect(workspace)
    lines = {change.path: (change.insertions, change.deletions) for change in collected.changes.paths}
    assert lines == {"win.txt": (1, 0), "new.txt": (1, 0), "raw.dat": (1, 0), "README": (1, 0)}
    held = entries(yard.sample, collected)
    assert (held["win.txt"][1], held["new.txt"][1]) == ("one\ntwo\nthree", "new")
    assert held["raw.dat"][1] == "a\r\nb\nx\r"


POINTER = "version https://git-lfs.github.com/spec/v1\noid sha256:" + "4d7a" * 16 + "\nsize 12345\n"
ABSENT = "no-such-program-for-lfs"


@pytest.mark.parametrize("configured", [False, True])
async def test_pointers_of_lfs_stay_pointers_where_its_program_is_not(
    yard: Yard, house: Workspaces, configured: bool
) -> None:
    yard.sample.commit({".gitattributes": "*.bin filter=lfs diff=lfs merge=lfs -text\n", "model.bin": POINTER})
    if configured:
        for word in ("clean", "smudge"):
            yard.sample.git("config", f"filter.lfs.{word}", f"{ABSENT} {word} -- %f")
    workspace = await fresh(yard, house)
    assert await yard.run(workspace, "cat model.bin") == POINTER
    await yard.run(workspace, "echo x > x; git add -A; git commit -q -m mine; touch model.bin")
    collected = await collect(workspace)
    assert told(collected.changes) == {"x": "added"}
    assert entries(yard.sample, collected)["model.bin"][1] == POINTER.strip()


async def test_a_filter_that_must_run_and_cannot_is_named(yard: Yard, house: Workspaces) -> None:
    yard.sample.commit({".gitattributes": "*.bin filter=lfs -text\n", "model.bin": POINTER})
    yard.sample.git("config", "filter.lfs.smudge", f"{ABSENT} smudge -- %f")
    yard.sample.git("config", "filter.lfs.required", "true")
    with pytest.raises(OutsideError) as caught:
        await yard.make(house)
    assert "lfs" in caught.value.message
    assert caught.value.hint
    assert await house.ids() == ()
    yard.sample.git("config", "--unset", "filter.lfs.required")
    assert await yard.run(await yard.make(house), "cat model.bin") == POINTER


# ------------------------------------------------------------------------------------------------ the person's set-up


@pytest.mark.parametrize("how", ["cone", "patterns", "sparse index"])
async def test_a_sparse_checkout_of_the_person_makes_no_sparse_workspace(
    yard: Yard, house: Workspaces, how: str
) -> None:
    sample = yard.sample
    sample.commit({"lib/deep/a.py": "a\n", "lib/b.py": "b\n", "docs/c.md": "c\n"})
    more = {"cone": ("--cone", "src"), "patterns": ("--no-cone", "/src/"), "sparse index": ("--sparse-index", "src")}
    sample.git("sparse-checkout", "set", *more[how])
    assert not (sample.path / "docs").exists()
    before = files_below(sample.path)
    workspace = await fresh(yard, house)
    assert await yard.run(workspace, "cat lib/deep/a.py docs/c.md; git ls-files -t | grep -c '^S' || :") == "a\nc\n0\n"
    await yard.run(workspace, "echo more >> lib/b.py; rm docs/c.md; echo n > docs/n; git add -A; git commit -q -m own")
    collected = await collect(workspace)
    assert told(collected.changes) == {"lib/b.py": "modified", "docs/c.md": "deleted", "docs/n": "added"}
    await yard.run(workspace, "echo u > lib/untracked")
    path = await back(yard, house, workspace)
    assert (path / "lib" / "untracked").read_text() == "u\n"
    assert (path / "docs" / "n").read_text() == "n\n"
    assert files_below(sample.path) == before
    assert sample.git("status", "--porcelain") == ""


@pytest.mark.parametrize("setting", ["core.splitIndex=true", "index.version=4", "core.untrackedCache=true"])
async def test_how_the_person_has_an_index_written_is_no_matter(yard: Yard, house: Workspaces, setting: str) -> None:
    yard.sample.git("config", *setting.split("="))
    workspace = await fresh(yard, house)
    await yard.run(workspace, "echo x > x; git add x; git commit -q -m x; git status --porcelain")
    assert told((await workspace.collect("r")).changes) == {"x": "added"}


async def test_what_the_person_alone_ignores_is_in_no_result(yard: Yard, house: Workspaces) -> None:
    sample = yard.sample
    sample.commit({".worktreeinclude": "secret.*\n"})
    (sample.git_dir / "info" / "exclude").write_text("secret.here\n")
    (sample.folder / "ignores").write_text("secret.global\n")
    sample.git("config", "--global", "core.excludesFile", str(sample.folder / "ignores"))
    sample.write({"secret.here": "s\n", "secret.global": "s\n"})
    workspace = await yard.make(await yard.open())
    assert await yard.run(workspace, "cat secret.here secret.global; echo x > x") == "s\ns\n"
    collected = await collect(workspace)
    assert told(collected.changes) == {"x": "added"}
    assert set(entries(sample, collected)) == set(sample.git("ls-files").splitlines()) | {"x"}


async def test_submodules_are_empty_and_what_is_put_into_one_is_named(yard: Yard, house: Workspaces) -> None:
    sample = yard.sample
    library = Sample(sample.folder, "library")
    sample.git("-c", "protocol.file.allow=always", "submodule", "add", "-q", str(library.path), "lib")
    sample.git("-c", "protocol.file.allow=always", "submodule", "add", "-q", str(library.path), "vendor/lib")
    sample.git("commit", "-q", "-m", "submodules")
    workspace = await fresh(yard, house)
    assert await yard.run(workspace, "ls -A lib vendor/lib; git ls-files -s lib | cut -c1-6") == (
        "lib:\n\nvendor/lib:\n160000\n"
    )
    inner = "cd vendor/lib; git init -q; echo i > i; git add i; git -c user.name=x -c user.email=x commit -q -m inner"
    await yard.run(workspace, f"echo w > lib/written; echo o > other; ({inner})")
    collected = await collect(workspace)
    assert told(collected.changes) == {"other": "added"}
    assert [path.rstrip("/") for path, _ in collected.changes.refused] == ["lib", "vendor/lib"]
    held = entries(sample, collected)
    assert held["lib"] == held["vendor/lib"] == ("160000", library.first)
    await yard.run(workspace, "rm -rf lib vendor/lib; git rm -q --cached lib; mkdir lib; echo mine > lib/file")
    collected = await collect(workspace)
    assert entries(sample, collected)["lib/file"] == ("100644", "mine")
    assert told(collected.changes) == {"lib": "deleted", "lib/file": "added", "other": "added", "vendor/lib": "deleted"}


async def test_a_submodule_is_moved_on_by_its_entry_alone(yard: Yard, house: Workspaces) -> None:
    sample = yard.sample
    library = Sample(sample.folder, "library")
    sample.git("-c", "protocol.file.allow=always", "submodule", "add", "-q", str(library.path), "lib")
    sample.git("commit", "-q", "-m", "submodule")
    further = library.commit({"more": "m\n"})
    workspace = await fresh(yard, house)
    await yard.run(workspace, f"git update-index --cacheinfo 160000,{further},lib")
    collected = await collect(workspace)
    assert (told(collected.changes), collected.changes.refused) == ({"lib": "modified"}, ())
    assert entries(sample, collected)["lib"] == ("160000", further)


async def test_files_in_an_empty_submodule_come_back_with_a_recovery(yard: Yard, house: Workspaces) -> None:
    sample = yard.sample
    library = Sample(sample.folder, "library")
    sample.git("-c", "protocol.file.allow=always", "submodule", "add", "-q", str(library.path), "lib")
    sample.git("commit", "-q", "-m", "submodule")
    workspace = await fresh(yard, house)
    await yard.run(workspace, "mkdir lib/deep; echo w > lib/deep/written; git init -q lib/inner; echo i > lib/inner/i")
    path = await back(yard, house, workspace)
    assert (path / "lib" / "deep" / "written").read_text() == "w\n"
    assert not (path / "lib" / "inner").exists()
    assert sample.git("ls-files", "-s", "lib", cwd=path) == f"160000 {library.first} 0\tlib"


# ------------------------------------------------------------------------------------------------ at once


@contextmanager
def traffic(sample: Sample) -> Iterator[list[str]]:
    """What other people's tools do to the repository all the while; what of it failed."""
    other = Sample(sample.folder, "other")
    sample.git("remote", "add", "other", str(other.path))
    ended, failed = threading.Event(), list[str]()

    def keep_on(*lines: str) -> None:
        number = 0
        while not ended.is_set():
            number += 1
            for line in lines:
                try:
                    sample.git(*shlex.split(line.format(n=number)))
                except AssertionError as error:
                    if "unable to create temporary file" not in str(error):  # a commit of theirs beside a gc of theirs
                        failed.append(f"{line}: {error}")

    work = [
        ("branch topic-{n} main", "update-ref refs/heads/side-{n} main", "branch -D topic-{n}"),
        ("commit -q --allow-empty -m {n}", "status --porcelain", "worktree list"),
        ("fetch -q other", "worktree prune", "pack-refs --all", "gc -q"),
    ]
    threads = [threading.Thread(target=keep_on, args=lines) for lines in work]
    for thread in threads:
        thread.start()
    try:
        yield failed
    finally:
        ended.set()
        for thread in threads:
            thread.join()


@pytest.mark.timeout(240)
async def test_many_are_made_at_once_while_others_work_in_the_repository(yard: Yard, house: Workspaces) -> None:
    count = 16 if yard.kind == "memory" else 80  # the fake is no faster than it must be
    base = yard.base
    with traffic(yard.sample) as failed:
        orders = [WorkspaceOrder(f"t{number}", base) for number in range(count)]
        made = await asyncio.gather(*(house.create(order) for order in orders), return_exceptions=True)
    assert [one for one in made if isinstance(one, BaseException)] == []
    if (
        yard.kind != "memory"
    ):  # the fake lays its trees out as worktrees and drops them again: git trips over one that goes
        assert failed == []
    assert await house.ids() == tuple(sorted(order.id for order in orders))
    for workspace in (made[0], made[-1]):
        assert not isinstance(workspace, BaseException)
        script = "git fsck --no-dangling --connectivity-only 2>&1; git status --porcelain; git rev-parse HEAD"
        assert await yard.run(workspace, script) == f"{base}\n"
