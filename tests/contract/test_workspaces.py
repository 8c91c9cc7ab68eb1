"""What every Workspaces provider keeps. Nothing here looks at a tree from outside: processes inside do.

A further provider joins by one line in support.yard.PROVIDERS.
"""

import asyncio
import errno
import shlex
import shutil
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from heddle.core.errors import HeddleError, OutsideError, Refused, UserError
from heddle.core.extent import Extent
from heddle.ports import Command, Workspace, WorkspaceOrder, Workspaces
from repositories import Sample, files_below
from support.previews import request, serves
from support.visitor import Visitor
from support.yard import DESTROY, LIMIT, Crash, Steps, Yard, heard

pytestmark = pytest.mark.asyncio

LATE = 30 * 86_400.0


def slug(caught: pytest.ExceptionInfo[HeddleError]) -> str:
    assert caught.value.hint
    return caught.value.slug


def told(changes: object) -> dict[str, str]:
    return {change.path: change.kind for change in changes.paths}  # type: ignore[attr-defined]


SOIL = r"""
printf 'stashed\n' > notes.txt; git stash -q
printf 'own\n' > own; git add own; git commit -q -m 'my own commit'
printf 'staged\n' > README; git add README
printf 'unstaged\r\n\000\377' > README
printf 'new\n' > 'new file'; chmod +x 'new file'; ln -s README link
rm src/app.py
"""
"""A stash entry, a commit, staged, unstaged and untracked work."""


def require_all_back(sample: Sample, path: Path) -> None:
    """Everything of SOIL is at `path`, byte for byte and each in its place."""
    assert sample.git("log", "-2", "--format=%s", cwd=path).splitlines() == ["my own commit", "second"]
    assert sample.git("show", ":README", cwd=path) == "staged"
    assert (path / "README").read_bytes() == b"unstaged\r\n\0\xff"
    assert (path / "new file").read_text() == "new\n"
    assert (path / "new file").stat().st_mode & 0o100
    assert (path / "link").readlink() == Path("README")
    status = sample.git("-c", "core.quotePath=false", "status", "--porcelain", cwd=path).splitlines()
    assert status == ["MM README", " D src/app.py", "?? link", '?? "new file"']


# ------------------------------------------------------------------------------------------------ making


async def test_a_workspace_starts_as_its_commit_and_knows_its_places(
    yard: Yard, house: Workspaces, workspace: Workspace
) -> None:
    script = 'pwd; echo "$HEDDLE_OUT"; git rev-parse HEAD; git status --porcelain; test -d "$TMPDIR"; echo "$TMPDIR"'
    tree, out, head, _ = (await yard.run(workspace, script)).splitlines()
    assert (tree, out, head) == (workspace.tree, workspace.out, yard.base)
    other = await yard.make(house, "t2-1-execute-1")
    await yard.run(workspace, 'touch "$TMPDIR/mine" kept-apart; rm kept-apart.log || touch kept-apart.log')
    assert await yard.run(other, 'ls "$TMPDIR/mine" kept-apart* 2>/dev/null || true') == ""
    assert not list(yard.sample.path.glob("kept-apart*")), "the person's checkout is another place"
    await yard.run(workspace, "rm kept-apart")
    assert (await workspace.changes()).paths == ()
    assert await house.ids() == ("t1-1-execute-1", "t2-1-execute-1")


async def test_changes_are_told_against_the_base_wherever_the_tree_started(yard: Yard, house: Workspaces) -> None:
    start = yard.sample.aside({"more": "m\n"})
    workspace = await yard.make(house, start=start)
    assert await yard.run(workspace, "cat more; git rev-parse HEAD") == f"m\n{start}\n"
    assert told(await workspace.changes()) == {"more": "added"}
    assert workspace.base == yard.base


async def test_made_again_it_is_the_same_one_with_its_work(yard: Yard, house: Workspaces, workspace: Workspace) -> None:
    await yard.run(workspace, "echo mine > mine")
    again = await yard.make(house)
    reopened = await (await yard.open()).find(workspace.id)
    for one in (again, reopened):
        assert one is not None
        assert (one.id, one.base, one.tree, one.out) == (workspace.id, yard.base, workspace.tree, workspace.out)
        assert told(await one.changes()) == {"mine": "added"}


async def test_it_is_never_given_to_another_order(yard: Yard, house: Workspaces, workspace: Workspace) -> None:
    other = yard.sample.aside({"more": "m\n"})
    for order in (WorkspaceOrder(workspace.id, other), WorkspaceOrder(workspace.id, yard.base, other)):
        with pytest.raises(Refused) as caught:
            await house.create(order)
        assert slug(caught) == "workspace-taken"
    assert await yard.run(workspace, "git rev-parse HEAD") == f"{yard.base}\n"


async def test_only_plain_names_name_a_workspace(yard: Yard, house: Workspaces) -> None:
    for id in ("", "..", "a/b", "A", "-x", "a b", "a\0", "ä", "x" * 200, ".hidden"):
        for asked in (house.create(WorkspaceOrder(id, yard.base)), house.find(id)):
            with pytest.raises(UserError) as caught:
                await asked  # type: ignore[misc]
            assert slug(caught) == "bad-workspace-id"
    assert await house.find("t9-1-execute-1") is None
    assert await house.ids() == ()


async def test_ignored_files_that_the_base_names_are_there(yard: Yard, house: Workspaces) -> None:
    sample = yard.sample
    sample.commit({".worktreeinclude": ".env\nkept/\nREADME\n"})
    sample.write({".env": "S=1\n", "kept/deep/file": "k\n", "noise.log": "n\n", "README": "dirty\n"})
    (sample.path / "kept" / "exe").write_text("x\n")
    (sample.path / "kept" / "exe").chmod(0o755)
    workspace = await yard.make(house)
    script = "cat .env kept/deep/file README; test -x kept/exe; test ! -e noise.log; git status --porcelain"
    assert await yard.run(workspace, script) == "S=1\nk\nhello\n"
    assert await workspace.changes() == await workspace.changes()
    assert (await workspace.changes()).paths == ()
    sample.write({".worktreeinclude": "*.log\n"})
    bare = await house.create(WorkspaceOrder("t2", yard.base, include=False))
    assert await yard.run(bare, "ls -A kept .env noise.log 2>/dev/null || true") == ""


# ------------------------------------------------------------------------------------------------ entering


async def test_what_one_process_leaves_the_next_one_finds(yard: Yard, workspace: Workspace) -> None:
    await yard.run(workspace, SOIL + "mkdir kept; echo i > kept/ignored; git init -q nested; echo n > nested/n")
    status = "git status --porcelain; git log -1 --format=%s; git show :README; git stash list | wc -l"
    assert (await yard.run(workspace, status)).splitlines() == [
        *("MM README", " D src/app.py", "?? link", "?? nested/", '?? "new file"'),
        *("my own commit", "staged", "1"),
    ]
    files = "cmp README link; test -x 'new file'; readlink link; cat kept/ignored; git -C nested status --porcelain"
    assert (await yard.run(workspace, files)).splitlines() == ["README", "i", "?? n"]


async def test_processes_that_are_inside_together_share_one_tree(yard: Yard, workspace: Workspace) -> None:
    first = await yard.enter(workspace, "echo up; read line; cat second")
    await heard(first, b"up")
    await yard.run(workspace, "echo from the second > second")
    assert told(await workspace.changes()) == {"second": "added"}
    await first.close_input()
    ended = await first.exit()
    assert ended.code == 1  # read met the end of its input
    assert told(await workspace.changes()) == {"second": "added"}


async def test_the_same_key_is_the_same_process_also_after_a_restart(yard: Yard, workspace: Workspace) -> None:
    first = await yard.enter(workspace, "echo run >> ran; echo up; cat", key="k")
    await heard(first, b"up")
    house = await yard.open()
    found = await house.find(workspace.id)
    assert found is not None
    again = await yard.enter(found, "echo another >> ran", key="k")
    await again.close_input()
    assert (await again.exit()).ok
    ended = await yard.enter(found, "echo a third >> ran", key="k")
    assert ended.ended() == again.ended()
    assert await yard.run(found, "cat ran") == "run\n"


async def test_a_working_directory_is_told_within_the_tree(yard: Yard, workspace: Workspace) -> None:
    assert await yard.run(workspace, "pwd", cwd="src") == f"{workspace.tree}/src\n"
    for outside in ("..", "/", "../out", "src/../../tmp", "/etc"):
        with pytest.raises(UserError) as caught:
            await yard.run(workspace, "pwd", cwd=outside)
        assert slug(caught) == "bad-folder"


# ------------------------------------------------------------------------------------------------ documents


async def test_documents_go_both_ways(yard: Yard, house: Workspaces, workspace: Workspace) -> None:
    path = await workspace.put("brief.md", b"read me\0\xff")
    assert path == f"{workspace.out}/brief.md"
    assert await yard.run(workspace, 'cmp "$HEDDLE_OUT/brief.md" ' + f"'{path}'; wc -c < '{path}'") == "9\n"
    await workspace.put("brief.md", b"again")
    await yard.run(workspace, 'cp "$HEDDLE_OUT/brief.md" "$HEDDLE_OUT/handoff.md"; echo x > "$HEDDLE_OUT/brief.md"')
    reopened = await (await yard.open()).find(workspace.id)
    assert reopened is not None
    assert await reopened.taken("handoff.md") == b"again"
    assert await reopened.taken("brief.md") == b"x\n"
    assert await reopened.taken("handoff.md", limit=2) == b"ag"
    assert await reopened.taken("none.md") is None
    assert (await workspace.changes()).paths == ()


async def test_documents_go_both_ways_while_a_process_is_inside(yard: Yard, workspace: Workspace) -> None:
    script = 'echo late > "$HEDDLE_OUT/out.md"; echo up; while ! test -e "$HEDDLE_OUT/in.md"; do sleep 0.01; done'
    held = await yard.enter(workspace, script + '; cat "$HEDDLE_OUT/in.md"')
    await heard(held, b"up")
    assert await workspace.taken("out.md") == b"late\n"
    await workspace.put("in.md", b"hello")
    await heard(held, b"hello")
    await held.exit()
    assert await workspace.taken("in.md") == b"hello"


async def test_links_folders_and_pipes_are_no_documents(yard: Yard, workspace: Workspace) -> None:
    secret = yard.sample.folder / "secret"
    secret.write_text("secret\n")
    await yard.run(
        workspace, f'cd "$HEDDLE_OUT"; ln -s {secret} link; mkdir folder; mkfifo pipe; ln {secret} hard || :'
    )
    for name in ("link", "folder", "pipe"):
        assert await workspace.taken(name) is None
    await workspace.put("link", b"mine")
    await workspace.put("hard", b"mine")
    assert secret.read_text() == "secret\n"
    assert await workspace.taken("link") == b"mine"
    for name in ("", ".", "..", "a/b", "/etc/hostname", "../heddle.json", "a\0b"):
        for asked in (workspace.taken(name), workspace.put(name, b"x")):
            with pytest.raises(UserError) as caught:
                await asked  # type: ignore[misc]
            assert slug(caught) == "bad-document-name"


async def test_an_out_folder_that_leads_elsewhere_is_not_followed(yard: Yard, workspace: Workspace) -> None:
    victim = yard.sample.folder / "victim"
    victim.mkdir()
    (victim / "id").write_text("secret\n")
    held = await yard.enter(workspace, f'rm -r "$HEDDLE_OUT" || :; ln -s {victim} "$HEDDLE_OUT"; echo up; cat')
    await heard(held, b"up")
    assert await workspace.taken("id") is None
    with suppress(OutsideError):  # where the folder itself could not be taken away, this is an ordinary document
        await workspace.put("id", b"a document")
    await held.close_input()
    await held.exit()
    assert await workspace.taken("id") in (None, b"a document")
    assert files_below(victim) == {"id": ((victim / "id").lstat().st_mode, b"secret\n")}


# ------------------------------------------------------------------------------------------------ results


async def test_changes_tell_what_differs_and_what_would_be_left_out(yard: Yard, workspace: Workspace) -> None:
    await yard.run(
        workspace,
        "echo a > added; echo m >> README; rm notes.txt; chmod +x src/app.py; rm tool.sh; ln -s README tool.sh; "
        f"echo i > x.log; head -c {LIMIT + 1} /dev/zero > huge; head -c {LIMIT} /dev/zero > large; "
        "git init -q inner; echo n > inner/n; mkfifo pipe; git -C inner add n; git -C inner commit -q -m n",
    )
    changes = await workspace.changes()
    kinds = {"added": "added", "README": "modified", "notes.txt": "deleted", "large": "added"}
    assert told(changes) == {**kinds, "src/app.py": "type", "tool.sh": "type"}
    assert [path.rstrip("/") for path, _ in changes.refused] == ["huge", "inner"]
    assert str(LIMIT) in dict(changes.refused)["huge"]
    assert await workspace.changes() == changes


async def test_a_result_is_one_commit_on_the_base_and_collected_again_the_same(
    yard: Yard, house: Workspaces, workspace: Workspace
) -> None:
    sample = yard.sample
    await yard.run(workspace, "echo 1 > one; git add one; git commit -q -m one; echo 2 > two; git rm -q notes.txt")
    collected = await workspace.collect("The title\n\nbody\n")
    assert sample.git("rev-list", f"{yard.base}..{collected.commit}") == collected.commit
    assert sample.git("log", "-1", "--format=%B", collected.commit).strip() == "The title\n\nbody"
    assert sample.git("rev-parse", f"{collected.commit}^{{tree}}") == collected.tree
    assert told(collected.changes) == {"one": "added", "two": "added", "notes.txt": "deleted"}
    assert sample.git("log", "--format=%s", f"{yard.base}..{collected.own}") == "one"
    sample.git("reflog", "expire", "--expire=now", "--all")
    sample.git("gc", "-q", "--prune=now")
    assert await workspace.collect("The title\n\nbody\n") == collected
    assert sample.git("show", f"refs/heddle/results/{workspace.id}:two") == "2"
    assert sample.git("rev-parse", f"refs/heddle/own/{workspace.id}") == collected.own
    await yard.run(workspace, "echo 3 > two")
    further = await workspace.collect("Again")
    assert further.commit != collected.commit
    assert sample.git("rev-list", "--count", f"{yard.base}..{further.commit}") == "1"


async def test_w5_housekeeping_in_the_repository_takes_nothing_from_a_session(
    yard: Yard, house: Workspaces, workspace: Workspace
) -> None:
    """Main moves to another history and everything that no ref keeps is pruned, again and again, while it commits."""
    sample = yard.sample
    own = "git add own && git commit -q -m own-$n"
    tried = (
        f"{{ {own}; }} || {{ {own}; }} || {{ {own}; }}"  # git removes an empty folder of objects that git writes into
    )
    commits = f"for n in 1 2 3 4 5 6 7 8; do echo $n > own; {tried}; done; echo made; exec cat"
    held = await yard.enter(workspace, commits)
    elsewhere = sample.git("commit-tree", "-m", "elsewhere", sample.git("mktree", stdin=""))
    sample.git("checkout", "-q", "--detach", elsewhere)
    sample.git("update-ref", "refs/heads/main", elsewhere)
    age = (
        "now" if yard.kind in ("instant", "clone") else "2.weeks.ago"
    )  # in the others, objects are born where git prunes
    for _ in range(3):
        sample.git("reflog", "expire", "--expire=now", "--all")
        both = (("gc", "-q", f"--prune={age}"), ("prune", f"--expire={age}"))
        await asyncio.gather(*(asyncio.to_thread(sample.git, *words) for words in both))
    await heard(held, b"made")
    told = await yard.run(
        workspace, "git fsck --no-dangling --connectivity-only 2>&1; git log -2 --format=%s; cat README"
    )
    assert told.splitlines()[:2] == ["own-8", "own-7"]
    collected = await workspace.collect("kept")
    sample.git("reflog", "expire", "--expire=now", "--all")
    sample.git("gc", "-q", "--prune=now")
    assert sample.git("show", f"{collected.commit}:own") == "8"
    assert sample.git("log", "-1", "--format=%s", collected.own) == "own-8"


async def test_a_result_holds_nothing_ignored_huge_or_foreign_however_the_agent_adds_it(
    yard: Yard, workspace: Workspace
) -> None:
    await yard.run(
        workspace,
        f"echo good > good; echo i > x.log; git add -f x.log; head -c {LIMIT + 1} /dev/zero > huge; git add huge; "
        "git commit -q -m mine; mkdir kept; echo k > kept/k; git init -q inner; echo n > inner/n",
    )
    collected = await workspace.collect("result")
    assert told(collected.changes) == {"good": "added"}
    assert set(yard.sample.git("ls-tree", "-r", "--name-only", collected.commit).splitlines()) == {
        *(".gitignore", "README", "notes.txt", "src/app.py", "tool.sh", "good")
    }
    assert [path.rstrip("/") for path, _ in collected.changes.refused] == ["huge", "inner", "x.log"]


async def test_nothing_that_happens_inside_changes_the_persons_checkout(
    yard: Yard, house: Workspaces, workspace: Workspace
) -> None:
    sample = yard.sample
    sample.write({"README": "unsaved\n", "untracked": "u\n"})
    sample.git("add", "README")
    sample.write({"README": "and more\n"})
    index = (sample.git_dir / "index").read_bytes()
    before = (files_below(sample.path), sample.git("status", "--porcelain"), sample.git("for-each-ref", "refs/heads"))
    await yard.run(workspace, "echo 1 > one; git add one; git commit -q -m one; echo 2 > README")
    await workspace.collect("result")
    await yard.run(workspace, SOIL)
    await workspace.export(sample.folder / "out")
    await house.restore((await workspace.remove()).recovery, sample.folder / "back")
    assert (sample.git_dir / "index").read_bytes() == index
    assert before == (
        files_below(sample.path),
        sample.git("status", "--porcelain"),
        sample.git("for-each-ref", "refs/heads"),
    )


async def test_what_was_written_is_told_at_once_or_said_to_be_unknown(
    yard: Yard, house: Workspaces, workspace: Workspace
) -> None:
    everything = Extent(10**12, 10**9)
    fresh = await workspace.extent(everything)
    script = "mkdir -p a/b; head -c 200000 /dev/urandom > a/b/large; for n in 1 2 3 4 5 6 7 8; do echo $n > a/$n; done"
    script += '; ln -s / root; ln a/b/large again; echo d > "$HEDDLE_OUT/d"; rm README; echo up; cat'
    held = await yard.enter(workspace, script)
    await heard(held, b"up")
    told = await workspace.extent(everything)
    for one in (workspace, await (await yard.open()).find(workspace.id)):
        assert one is not None
        assert await one.extent(everything) == told
    if told is None or fresh is None:
        assert told == fresh
        return
    assert fresh.files < 50, "nobody wrote yet"
    assert 10 <= told.files - fresh.files < 20
    assert 200_000 <= told.bytes - fresh.bytes < 400_000
    less = await workspace.extent(Extent(10**12, 5))
    assert less is not None
    assert 5 < less.files < told.files, "it stops when it knows enough"
    await held.close_input()
    await held.exit()
    await yard.run(workspace, "rm -r a again")
    after = await workspace.extent(everything)
    assert after is not None
    assert after.bytes < told.bytes


# ------------------------------------------------------------------------------------------------ sealing


async def test_seal_ends_everything_inside_and_lets_nothing_in(
    yard: Yard, house: Workspaces, workspace: Workspace
) -> None:
    left = "setsid sh -c 'echo up; exec sleep 300 >/dev/null' & wait $!"
    held = await yard.enter(workspace, f"echo work > work; {left}", key="k")
    await heard(held, b"\n")
    async with asyncio.timeout(20):
        while not yard.living("k"):
            await asyncio.sleep(0.01)
    await workspace.seal()
    assert held.ended() is not None
    assert yard.living("k") == []
    for one in (workspace, await (await yard.open()).find(workspace.id)):
        assert one is not None
        with pytest.raises(Refused) as caught:
            await yard.enter(one, "true", key="new")
        assert slug(caught) == "workspace-sealed"
        assert (await yard.enter(one, "true", key="k")).ended() == held.ended()
        await one.seal()
    assert told(await workspace.changes()) == {"work": "added"}


async def test_nobody_slips_in_while_it_is_sealed(yard: Yard, house: Workspaces) -> None:
    for number in range(3):
        workspace = await yard.make(house, f"t{number}")
        entering = [yard.enter(workspace, "cat", key=f"{number}.{count}") for count in range(3)]
        outcomes = await asyncio.gather(*entering[:2], workspace.seal(), entering[2], return_exceptions=True)
        for outcome in outcomes:
            assert outcome is None or isinstance(outcome, Refused) or outcome.ended() is not None  # type: ignore[union-attr]


# ----------------------------------------------------------------------------------------------- vacating


async def test_d4_a_vacated_workspace_costs_no_process_and_is_entered_again(yard: Yard, workspace: Workspace) -> None:
    held = await yard.enter(workspace, "echo work > work; echo up; read word; echo more >> work", key="k")
    await heard(held, b"up\n")
    assert not await workspace.vacate()  # somebody lives there
    assert held.ended() is None
    await held.stop(grace_s=2.0)
    assert await workspace.vacate()
    assert await workspace.vacate()
    assert yard.living("k") == []
    assert await yard.run(workspace, "cat work; echo again >> work") == "work\n"
    assert told(await workspace.changes()) == {"work": "added"}


# ------------------------------------------------------------------------------------------------ removing


async def test_a_removed_workspace_comes_back_whole(yard: Yard, house: Workspaces, workspace: Workspace) -> None:
    sample = yard.sample
    sample.write({"notes.txt": "the person's\n"})
    sample.git("stash", "-q")
    mine = sample.git("stash", "list", "--format=%H")
    await yard.run(workspace, SOIL)
    removal = await workspace.remove()
    assert removal.trashed
    assert await house.find(workspace.id) is None
    assert await house.ids() == ()
    stash = sample.git("stash", "list", "--format=%H").splitlines()
    assert stash[-1] == mine
    for _ in stash[1:]:  # where the list is shared, what the session put there was in it too
        sample.git("stash", "drop", "-q")
    yard.clock.time += LATE
    assert await house.empty_trash(LATE) == 1
    sample.git("gc", "-q", "--prune=now")
    back = sample.folder / "b a c k"
    await (await yard.open()).restore(removal.recovery, back)
    require_all_back(sample, back)
    kept = sample.git("for-each-ref", "--format=%(refname) %(objectname)", "refs/heddle/restored").splitlines()
    assert [line.split(" ")[0] for line in kept] == [f"refs/heddle/restored/{workspace.id}/stash-1"]
    assert sample.git("show", f"{kept[0].split(' ')[1]}:notes.txt") == "stashed"
    assert sample.git("stash", "list", "--format=%H") == mine
    sample.git("worktree", "remove", "--force", str(back))
    assert sample.git("worktree", "list", "--porcelain").count("worktree ") == 1


async def test_a_conflict_in_the_middle_comes_back_too(yard: Yard, house: Workspaces, workspace: Workspace) -> None:
    await yard.run(
        workspace,
        "git checkout -q -b side; echo side > README; git commit -qam side; git checkout -q --detach HEAD~; "
        "echo main > README; git commit -qam main; git merge side >/dev/null || true",
    )
    status = await yard.run(workspace, "git status --porcelain; git ls-files -u; cat README")
    removal = await workspace.remove()
    back = yard.sample.folder / "back"
    await house.restore(removal.recovery, back)
    assert status.splitlines()[0] == "UU README"
    script = ("status", "--porcelain"), ("ls-files", "-u")
    assert (
        "\n".join([*(yard.sample.git(*words, cwd=back) for words in script), (back / "README").read_text()]) == status
    )


async def test_commits_that_were_dropped_come_back_too_however_often_somebody_looked(
    yard: Yard, workspace: Workspace
) -> None:
    drop = "echo 1 > dropped; git add dropped; git commit -q -m dropped; git rev-parse HEAD; git reset -q --hard HEAD~"
    dropped = (await yard.run(workspace, drop)).strip()
    for _ in range(2):
        assert (await workspace.changes()).paths == ()
    removal = await workspace.remove()
    assert dropped in yard.sample.git("rev-list", removal.recovery).splitlines()


async def test_many_who_look_at_once_while_it_changes_all_get_an_answer(yard: Yard, workspace: Workspace) -> None:
    writing = "n=0; while ! test -e stop.log; do n=$((n + 1)); echo $n > number; echo $n >> README; done"
    held = await yard.enter(workspace, f"echo up; {writing}")
    await heard(held, b"up")
    for told_of in await asyncio.gather(*(workspace.changes() for _ in range(6))):
        assert set(told(told_of)) <= {"number", "README"}
    await yard.run(workspace, "touch stop.log")
    assert (await held.exit()).ok


async def test_a_workspace_that_holds_nothing_unkept_needs_no_recovery(yard: Yard, house: Workspaces) -> None:
    yard.sample.git("checkout", "-q", "--detach")
    yard.sample.write({"README": "a stash entry older than any workspace\n"})
    yard.sample.git("stash", "-q")
    clean = await yard.make(house)
    assert await clean.remove() == await (await yard.make(house)).remove()
    collected = await yard.make(house)
    await yard.run(collected, "echo x > x; echo i > x.log")
    await collected.collect("result")
    removal = await collected.remove()
    assert (removal.recovery, removal.trashed) == ("", True)
    assert yard.sample.git("for-each-ref", "refs/heddle/recovery") == ""


async def test_each_removal_has_a_recovery_of_its_own(yard: Yard, house: Workspaces) -> None:
    refs = []
    for number in range(3):
        workspace = await yard.make(house)
        await yard.run(workspace, f"echo {number} > number")
        refs.append((await workspace.remove()).recovery)
    for number, ref in enumerate(refs):
        assert yard.sample.git("show", f"{ref}:number") == str(number)


async def test_a_workspace_in_use_stays(yard: Yard, workspace: Workspace) -> None:
    held = await yard.enter(workspace, "echo up; cat; echo more > more")
    await heard(held, b"up")
    reopened = await (await yard.open()).find(workspace.id)
    assert reopened is not None
    for one in (workspace, reopened):
        with pytest.raises(Refused) as caught:
            await one.remove()
        assert slug(caught) == "workspace-in-use"
    await held.close_input()
    assert (await held.exit()).ok
    removal = await workspace.remove()
    assert yard.sample.git("show", f"{removal.recovery}:more") == "more"


async def visited(yard: Yard, workspace: Workspace, script: str, wanted: str) -> Visitor:
    """A person in the workspace, at a terminal, who has seen what the script says."""
    held = await workspace.enter(Command("visit", ("sh", "-c", f"{script}; exec cat"), "", stdin="terminal"))
    visitor = Visitor(held.door("farewell"), env=yard.sample.env)
    visitor.see(wanted)
    return visitor


async def test_w4_a_workspace_with_a_person_in_it_stays(yard: Yard, workspace: Workspace) -> None:
    visitor = await visited(yard, workspace, "echo person > by-hand; echo up", "up")
    reopened = await (await yard.open()).find(workspace.id)
    assert reopened is not None
    for one in (workspace, reopened):
        with pytest.raises(Refused) as caught:
            await one.remove()
        assert slug(caught) == "workspace-in-use"
    visitor.type("\x04")
    assert visitor.left() == 0
    assert told(await workspace.changes()) == {"by-hand": "added"}
    held = await yard.sandboxes[-1].find("visit")
    assert held is not None
    await held.exit()
    removal = await workspace.remove()
    assert yard.sample.git("show", f"{removal.recovery}:by-hand") == "person"
    visitor.close()


async def test_d4_sealing_ends_the_visit_of_a_person_with_all_they_started(yard: Yard, workspace: Workspace) -> None:
    hidden = "trap '' HUP TERM; (setsid sh -c 'trap \"\" HUP TERM; echo hidden; exec sleep 300' &)"
    visitor = await visited(yard, workspace, f"echo kept > by-hand; {hidden}", "hidden")
    assert yard.living("visit") != []
    await workspace.seal()
    assert yard.living("visit") == []
    assert visitor.left() != 0
    visitor.see("farewell")
    visitor.close()
    with pytest.raises(Refused) as caught:
        await workspace.enter(Command("late", ("true",), "", stdin="terminal"))
    assert slug(caught) == "workspace-sealed"
    assert told(await workspace.changes()) == {"by-hand": "added"}


async def test_two_clean_ups_at_once_remove_it_once(yard: Yard, house: Workspaces, workspace: Workspace) -> None:
    await yard.run(workspace, SOIL)
    other = await house.find(workspace.id)
    assert other is not None
    outcomes = await asyncio.gather(workspace.remove(), other.remove(), return_exceptions=True)
    (removal,) = [outcome for outcome in outcomes if not isinstance(outcome, BaseException)]
    (error,) = [outcome for outcome in outcomes if isinstance(outcome, BaseException)]
    assert isinstance(error, OutsideError)
    assert error.slug == "workspace-lost"
    await house.restore(removal.recovery, yard.sample.folder / "back")
    require_all_back(yard.sample, yard.sample.folder / "back")


async def test_the_trash_keeps_what_is_young(yard: Yard, house: Workspaces) -> None:
    await (await yard.make(house, "t1")).remove()
    yard.clock.time += 1_000
    await (await yard.make(house, "t2")).remove()
    await yard.make(house, "t3")
    assert await house.empty_trash(1_001) == 0
    assert await house.empty_trash(1_000) == 1
    assert await house.empty_trash(1_000) == 0
    assert await house.empty_trash(0) == 1
    assert await house.ids() == ("t3",)


async def test_what_is_in_the_way_of_a_restore_or_an_export_stays(
    yard: Yard, house: Workspaces, workspace: Workspace
) -> None:
    await yard.run(workspace, "echo x > x")
    path = yard.sample.folder / "there"
    path.mkdir()
    (path / "precious").write_text("p\n")
    link = yard.sample.folder / "link"
    link.symlink_to("nowhere")
    for place in (path, path / "precious", link):
        with pytest.raises(UserError) as caught:
            await workspace.export(place)
        assert slug(caught) == "path-taken"
    ref = (await workspace.remove()).recovery
    for place in (path, path / "precious", link):
        with pytest.raises(UserError) as caught:
            await house.restore(ref, place)
        assert slug(caught) == "path-taken"
    assert files_below(path) == {"precious": ((path / "precious").lstat().st_mode, b"p\n")}
    await house.restore(ref, yard.sample.folder / "free")
    await house.restore(ref, yard.sample.folder / "free too")
    for unknown in ("refs/heddle/recovery/none/1", "refs/heads/main", "--all", ""):
        with pytest.raises(UserError) as caught:
            await house.restore(unknown, yard.sample.folder / "never")
        assert slug(caught) == "no-such-recovery"


async def test_an_export_is_a_plain_worktree_of_what_is_here(
    yard: Yard, house: Workspaces, workspace: Workspace
) -> None:
    await yard.run(workspace, SOIL)
    for path in (yard.sample.folder / "one", yard.sample.folder / "two"):
        await workspace.export(path)
        require_all_back(yard.sample, path)
        (path / "mine").write_text("m\n")
    assert "mine" not in await yard.run(workspace, "ls")
    await workspace.remove()
    require_paths = yard.sample.git("status", "--porcelain", cwd=yard.sample.folder / "one")
    assert "?? mine" in require_paths


async def test_where_an_export_was_deleted_the_next_one_finds_room(yard: Yard, workspace: Workspace) -> None:
    path = yard.sample.folder / "look"
    for number in ("one", "two"):
        await yard.run(workspace, f"echo {number} > number")
        await workspace.export(path)
        assert (path / "number").read_text() == f"{number}\n"
        assert yard.sample.git("worktree", "list", "--porcelain").count(f"worktree {path}\n") == 1
        shutil.rmtree(path)


async def test_an_export_tells_what_would_run_by_itself(yard: Yard, workspace: Workspace) -> None:
    script = """
        mkdir -p .vscode deep/.idea; echo 'x' > .envrc; echo '{}' > .vscode/tasks.json; echo x > deep/.idea/run.xml
        git init -q nested; echo x > nested/x; git init -q --bare bare; touch bare/objects/x bare/refs/x
        printf 'ordinary\n' > tasks.json
    """
    await yard.run(workspace, script)
    found = {one.path: one.why for one in await workspace.export(yard.sample.folder / "look")}
    assert found.keys() == {".envrc", ".vscode/tasks.json", "deep/.idea", "nested/", "bare"}
    assert "direnv" in found[".envrc"]
    assert "left out" in found["nested/"]
    assert not (yard.sample.folder / "look" / "nested").exists()
    clean = await yard.make(await yard.open(), "t2-1-execute-1")
    assert await clean.export(yard.sample.folder / "clean") == ()


# ------------------------------------------------------------------------------------------------ losing


@pytest.mark.parametrize("how", DESTROY)
async def test_a_tree_that_was_deleted_or_replaced_is_lost_and_nothing_it_claims_counts(
    yard: Yard, house: Workspaces, workspace: Workspace, how: str
) -> None:
    await yard.destroy(workspace, how)
    held = await yard.sandboxes[-1].find("k")
    assert held is not None
    for one in (house, await yard.open()):
        asked: list[Callable[[], Awaitable[object]]] = [
            workspace.changes,
            lambda: workspace.collect("a claim"),
            lambda: workspace.enter(Command("k2", ("true",), "")),
            lambda: workspace.put("x", b"x"),
            lambda: workspace.taken("handoff.md"),
            lambda: workspace.export(yard.sample.folder / "never"),
            workspace.remove,
            lambda: yard.make(house),
        ]
        for ask in asked:
            with pytest.raises(OutsideError) as caught:
                await ask()
            assert slug(caught) == "workspace-lost"
        assert await one.find(workspace.id) is None
    await workspace.seal()
    assert held.ended() is not None
    assert yard.sample.git("for-each-ref", "refs/heddle/results") == ""


async def test_a_workspace_that_was_removed_is_lost_to_who_still_holds_it(yard: Yard, workspace: Workspace) -> None:
    await workspace.remove()
    with pytest.raises(OutsideError) as caught:
        await workspace.changes()
    assert slug(caught) == "workspace-lost"
    await workspace.seal()


# ------------------------------------------------------------------------------------------------ faults


@dataclass
class Case:
    """A workspace in the middle of an operation."""

    yard: Yard
    id: str
    house: Workspaces
    workspace: Workspace | None = None
    about: str = ""
    place: str = ""

    @property
    def path(self) -> Path:
        return self.yard.sample.folder / f"at-{self.place or self.id}"

    @property
    def here(self) -> Workspace:
        assert self.workspace is not None
        return self.workspace

    async def soiled(self) -> None:
        self.workspace = await self.yard.make(self.house, self.id)
        await self.yard.run(self.workspace, SOIL)


async def _nothing(case: Case) -> None:
    return None


async def _live(case: Case) -> None:
    case.workspace = await case.yard.make(case.house, case.id)
    for number in range(2):
        await heard(await case.yard.enter(case.here, "echo up; exec cat", key=f"{case.id}.{number}"), b"up")


async def _removed(case: Case) -> None:
    await case.soiled()
    case.about = (await case.here.remove()).recovery


async def _create(case: Case) -> None:
    await case.yard.make(case.house, case.id)


async def _enter(case: Case) -> None:
    held = await case.yard.enter(case.here, "echo run >> ran", key=f"{case.id}.once")
    await held.exit()


async def _put(case: Case) -> None:
    await case.here.put("brief.md", b"whole")


async def _collect(case: Case) -> None:
    collected = await case.here.collect("result")
    assert await case.here.collect("result") == collected


async def _remove(case: Case) -> None:
    if found := await case.house.find(case.id):
        await found.remove()


async def _export(case: Case) -> None:
    await case.here.export(case.path)


async def _restore(case: Case) -> None:
    await case.house.restore(case.about, case.path)


async def _seal(case: Case) -> None:
    await case.here.seal()


async def _is_made(case: Case) -> None:
    workspace = await case.house.find(case.id)
    assert workspace is not None
    script = "git status --porcelain; cat .env; git fsck --no-dangling --connectivity-only 2>&1; git rev-parse HEAD"
    assert await case.yard.run(workspace, script) == f"SECRET=1\n{case.yard.base}\n"
    assert (await workspace.changes()).paths == ()


async def _has_run_once(case: Case) -> None:
    assert await case.yard.run(case.here, "cat ran") == "run\n"


async def _is_put(case: Case) -> None:
    assert await case.here.taken("brief.md") == b"whole"
    assert await case.yard.run(case.here, 'ls -A "$HEDDLE_OUT"') == "brief.md\n"


async def _is_collected(case: Case) -> None:
    git = case.yard.sample.git
    ref = f"refs/heddle/results/{case.id}"
    assert git("rev-list", "--count", f"{case.yard.base}..{ref}") == "1"
    assert git("show", f"{ref}:own") == "own"
    assert git("log", "-1", "--format=%s", f"refs/heddle/own/{case.id}") == "my own commit"


async def _is_removed(case: Case) -> None:
    assert await case.house.find(case.id) is None
    refs = case.yard.sample.git("for-each-ref", "--format=%(refname)", f"refs/heddle/recovery/{case.id}/").splitlines()
    assert refs == [f"refs/heddle/recovery/{case.id}/1"]
    await case.house.restore(refs[0], case.path)
    require_all_back(case.yard.sample, case.path)
    assert await case.house.empty_trash(0) >= 1
    listing = case.yard.sample.git("worktree", "list", "--porcelain").split("\n\n")
    assert [entry for entry in listing if f"/{case.id}/" in entry] == []


async def _is_laid_out(case: Case) -> None:
    require_all_back(case.yard.sample, case.path)
    with pytest.raises(UserError):
        await (case.here.export(case.path) if not case.about else case.house.restore(case.about, case.path))
    assert sorted(path.name for path in case.path.parent.glob(f"*{case.path.name}*")) == [case.path.name]


async def _is_sealed(case: Case) -> None:
    for number in range(2):
        held = await case.yard.sandboxes[-1].find(f"{case.id}.{number}")
        assert held is not None
        assert held.ended() is not None
    with pytest.raises(Refused):
        await case.yard.enter(case.here, "true", key=f"{case.id}.late")


Doing = Callable[[Case], Awaitable[None]]

OPERATIONS: dict[str, tuple[Doing, Doing, Doing]] = {
    "create": (_nothing, _create, _is_made),
    "enter": (Case.soiled, _enter, _has_run_once),
    "put": (Case.soiled, _put, _is_put),
    "collect": (Case.soiled, _collect, _is_collected),
    "seal": (_live, _seal, _is_sealed),
    "remove": (Case.soiled, _remove, _is_removed),
    "export": (Case.soiled, _export, _is_laid_out),
    "restore": (_removed, _restore, _is_laid_out),
}
"""What comes before, the operation, and what must hold after it."""


@pytest.mark.timeout(240)
@pytest.mark.parametrize("operation", OPERATIONS)
async def test_a_crash_after_any_step_is_made_good_by_doing_it_again(
    yard: Yard, operation: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async for case, fault in _cut(yard, operation, monkeypatch, Crash):
        assert isinstance(fault, Crash)
        case.house = await yard.open()  # the next daemon knows nothing but what is on disk
        case.workspace = await case.house.find(case.id) if case.workspace else None
        await _done_again(case, operation)


@pytest.mark.timeout(240)
@pytest.mark.parametrize("operation", OPERATIONS)
async def test_a_full_disk_after_any_step_is_told_and_costs_nothing(
    yard: Yard, operation: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async for case, fault in _cut(yard, operation, monkeypatch, _no_room):
        assert isinstance(fault, OutsideError)
        assert (fault.slug, bool(fault.hint)) == ("disk-full", True)
        await _done_again(case, operation)


def _no_room() -> OSError:
    return OSError(errno.ENOSPC, "No space left on device")


async def _cut(
    yard: Yard, operation: str, monkeypatch: pytest.MonkeyPatch, fault: Callable[[], BaseException]
) -> AsyncIterator[tuple[Case, BaseException]]:
    """Cases in which an operation was cut, and by what: after each of its steps; of the fake's, which are many and cost
    much, every third. At last comes one that nothing cuts, which shows that no step was left."""
    yard.sample.commit({".worktreeinclude": ".env\n"}, "second")
    yard.sample.write({".env": "SECRET=1\n"})
    steps = Steps(monkeypatch)
    case, number = None, 0
    while True:
        case = await _prepared(yard, operation, f"t{number}", case)
        steps.arm(number, fault)
        try:
            await OPERATIONS[operation][1](case)
            error = None
        except (Crash, OutsideError) as caught:
            error = caught
        taken = len(steps.taken)
        steps.disarm()
        if error is None:
            assert 0 < taken <= number
            await OPERATIONS[operation][2](case)
            return
        assert taken > number
        yield case, error
        number += 3 if yard.kind == "memory" else 1


async def _prepared(yard: Yard, operation: str, name: str, before: Case | None) -> Case:
    """A case to begin with. What is removed once can be restored to many places."""
    if operation == "restore" and before is not None:
        return replace(before, house=await yard.open(), place=name)
    yard.forget_shared()
    case = Case(yard, name, await yard.open())
    await OPERATIONS[operation][0](case)
    return case


async def _done_again(case: Case, operation: str) -> None:
    _, act, check = OPERATIONS[operation]
    await act(case)
    await check(case)


async def test_a_server_inside_is_dialled_on_a_port_of_the_workspaces_own(
    yard: Yard, house: Workspaces, workspace: Workspace
) -> None:
    if yard.kind == "memory":
        assert workspace.ports() == range(0)
        return
    if workspace.ports() is not None:
        assert not workspace.ports()
        with pytest.raises(Refused) as refused:
            await workspace.dial(3000)
        assert slug(refused) == "port-not-leased" and "nobody has been in it" in refused.value.message
    script = f"exec {shlex.join(serves(3000)).replace(' 3000 ', ' ${PORT:-3000} ')}"
    held = await yard.enter(workspace, script)
    await heard(held, b"serving")
    found = await (await yard.open()).find(workspace.id)
    assert found is not None
    ports = found.ports()
    port = ports[0] if ports else 3000
    reader, writer = await found.dial(port)
    writer.write(request("GET / HTTP/1.0", "Host: here"))
    assert (await reader.read()).endswith(b"page heard GET / of here")
    writer.close()
    with pytest.raises(OutsideError) as failed:
        await found.dial(port + 1)
    assert slug(failed) == "nobody-listens"
    if ports:
        other = await asyncio.start_server(lambda *_: None, "127.0.0.1", 0)
        with pytest.raises(Refused) as refused:
            await found.dial(other.sockets[0].getsockname()[1])
        assert slug(refused) == "port-not-leased" and f"{ports[0]} to {ports[-1]}" in refused.value.message
        other.close()
    await workspace.seal()
    with pytest.raises(OutsideError) as failed:
        await found.dial(port)
    assert slug(failed) == "nobody-listens"
