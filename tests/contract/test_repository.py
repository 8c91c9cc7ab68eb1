"""What every Repository keeps: it reads commits and not checkouts, and an error is never an answer."""

from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path

import pytest
import pytest_asyncio

from heddle.adapters.git import open_repository
from heddle.core.errors import Bug, OutsideError, Refused, UserError
from heddle.ports import Advanced, Blocked, Change, Conflicted, Merged, MovedOn, Repository
from repositories import EMAIL, PERSON, Sample, numbered

pytestmark = pytest.mark.asyncio

REPOSITORIES: dict[str, Callable[[Path, Mapping[str, str]], Awaitable[Repository]]] = {"git": open_repository}

RECORD = "refs/heddle/landed/1"


@pytest.fixture
def sample(tmp_path: Path) -> Sample:
    return Sample(tmp_path)


@pytest_asyncio.fixture(params=sorted(REPOSITORIES))
async def repository(request: pytest.FixtureRequest, sample: Sample) -> Repository:
    return await REPOSITORIES[request.param](sample.path, sample.env)


# ------------------------------------------------------------------------------------------------ reading


async def test_the_branch_that_is_checked_out_is_named(repository: Repository, sample: Sample) -> None:
    assert await repository.current_branch() == "main"
    sample.git("checkout", "-q", "-b", "feature/größe")
    assert await repository.current_branch() == "feature/größe"


async def test_a_detached_head_has_no_branch(repository: Repository, sample: Sample) -> None:
    sample.git("checkout", "-q", "--detach")
    with pytest.raises(UserError) as caught:
        await repository.current_branch()
    assert caught.value.slug == "detached-head" and caught.value.hint


async def test_a_branch_with_invisible_characters_is_refused(repository: Repository, sample: Sample) -> None:
    sample.git("update-ref", "refs/heads/a\u202eb", "HEAD")
    sample.git("symbolic-ref", "HEAD", "refs/heads/a\u202eb")
    with pytest.raises(UserError) as caught:
        await repository.current_branch()
    assert caught.value.slug == "odd-branch" and "\u202e" not in caught.value.message


async def test_revisions_resolve_to_commits_and_to_nothing_else(repository: Repository, sample: Sample) -> None:
    sample.git("tag", "-a", "v1", "-m", "one")
    assert await repository.resolve("HEAD") == sample.first
    assert await repository.resolve("v1") == sample.first
    assert await repository.resolve("refs/heads/main") == sample.first
    for nonsense in ("nope", "", "HEAD:README", "HEAD^{tree}", "main..main", "--all", "-x", "1" * 40, "a\0b", "a b"):
        with pytest.raises(UserError) as caught:
            await repository.resolve(nonsense)
        assert caught.value.slug == "no-such-revision", nonsense


async def test_a_word_that_is_no_object_id_never_reaches_git(repository: Repository) -> None:
    for nonsense in ("--output=stolen", "HEAD", "main", ""):
        with pytest.raises(Bug):
            await repository.tree_of(nonsense)
        with pytest.raises(Bug):
            await repository.diff(nonsense, nonsense)


async def test_ancestry_is_told_and_an_unknown_commit_is_an_error(repository: Repository, sample: Sample) -> None:
    second = sample.commit({"a": "a\n"})
    assert await repository.is_ancestor(sample.first, second)
    assert not await repository.is_ancestor(second, sample.first)
    with pytest.raises(OutsideError):
        await repository.is_ancestor(sample.first, "1" * 40)


async def test_the_fork_point_is_told_and_two_histories_without_one_are_no_error(
    repository: Repository, sample: Sample
) -> None:
    side, ours = sample.aside({"b": "b\n"}), sample.commit({"a": "a\n"})
    assert await repository.fork_point(ours, side) == await repository.fork_point(side, ours) == sample.first
    assert await repository.fork_point(ours, ours) == ours
    apart = sample.git("commit-tree", "-m", "apart", f"{ours}^{{tree}}")
    assert await repository.fork_point(ours, apart) == ""
    with pytest.raises(OutsideError):
        await repository.fork_point(ours, "1" * 40)


async def test_a_file_of_a_commit_is_read_whatever_the_checkout_holds(repository: Repository, sample: Sample) -> None:
    sample.write({"README": "changed\n"})
    assert await repository.read_file(sample.first, "README") == b"hello\n"


async def test_what_is_no_plain_file_is_no_file(repository: Repository, sample: Sample) -> None:
    (sample.path / "link").symlink_to("/etc/passwd")
    commit = sample.commit({"*.txt": "glob\n", "link2": "x"})
    sample.git("add", "link")
    sample.git("commit", "-q", "-m", "link")
    head = await repository.resolve("HEAD")
    for path in ("nope", "src", "src/", "link", "../README", "/etc/passwd", "", "a\0b", "-x"):
        assert await repository.read_file(head, path) is None, path
    assert await repository.read_file(commit, "*.txt") == b"glob\n"
    with pytest.raises(OutsideError):
        await repository.read_file("1" * 40, "README")


async def test_every_tracked_path_is_listed_whatever_its_name(repository: Repository, sample: Sample) -> None:
    odd = ("-x", "a b", "new\nline", "größe", 'quo"te', b"lat\xe9in".decode("utf-8", "surrogateescape"))
    commit = sample.aside({name: "x\n" for name in odd if "\n" not in name})
    listed = await repository.list_files(commit)
    assert {name for name in odd if "\n" not in name} < set(listed)
    newline = sample.commit({"new\nline": "x\n"})
    assert "new\nline" in await repository.list_files(newline)
    assert await repository.read_file(commit, odd[-1]) == b"x\n"


async def test_changes_tell_kind_and_lines(repository: Repository, sample: Sample) -> None:
    (sample.path / "tool").write_text("run\n")
    before = sample.commit({"tool": "run\n", "gone": "x\n", "turns": "file\n", "blob": b"\0\1"})
    (sample.path / "tool").chmod(0o755)
    (sample.path / "turns").unlink()
    (sample.path / "turns").symlink_to("README")
    after = sample.commit(
        {"tool": "run\n", "gone": None, "new": "1\n2\n", "notes.txt": "two\n", "blob": b"\0\2", "a\tb": "t\n"}
    )
    sample.git("add", "-A")
    sample.git("commit", "-q", "--amend", "-m", "all")
    after = sample.git("rev-parse", "HEAD")
    assert set(await repository.changes(before, after)) == {
        Change("tool", "type"),
        Change("turns", "type", 1, 1),
        Change("gone", "deleted", 0, 1),
        Change("new", "added", 2, 0),
        Change("a\tb", "added", 1, 0),
        Change("notes.txt", "modified", 1, 1),
        Change("blob", "modified", None, None),
    }
    assert await repository.changes(after, after) == ()
    with pytest.raises(OutsideError):
        await repository.changes(before, "1" * 40)


async def test_a_diff_runs_no_program_and_is_cut_with_a_note(repository: Repository, sample: Sample) -> None:
    witness = sample.folder / "witness"
    for key in ("diff.external", "diff.loud.command", "diff.loud.textconv"):
        sample.git("config", key, f"touch '{witness}'; cat")
    after = sample.commit({".gitattributes": "*.txt diff=loud\n", "notes.txt": "zwei\n"})
    text = await repository.diff(sample.first, after)
    assert "-one\n+zwei\n" in text and "+++ b/notes.txt" in text
    assert not witness.exists()
    short = await repository.diff(sample.first, after, limit_bytes=40)
    assert "[cut: the diff is longer than 40 bytes]" in short and len(short) < 120


async def test_the_log_goes_along_first_parents_oldest_first(repository: Repository, sample: Sample) -> None:
    sample.git("checkout", "-q", "-b", "side")
    side = sample.commit({"side": "s\n"}, "on the side")
    sample.git("checkout", "-q", "main")
    second = sample.commit({"b": "b\n"}, "größer: second")
    sample.git("merge", "-q", "--no-ff", "-m", "merge side", side)
    last = sample.git("rev-parse", "HEAD")
    assert await repository.log(sample.first, last) == ((second, "größer: second"), (last, "merge side"))
    assert await repository.log(last, last) == ()


# ------------------------------------------------------------------------------------------------ merging


async def test_sides_that_do_not_meet_merge(repository: Repository, sample: Sample) -> None:
    ours = sample.aside({"src/app.py": numbered(20, l2="ours"), "README": None})
    theirs = sample.aside({"src/app.py": numbered(20, l18="theirs"), "new": "n\n"})
    merged = await repository.merge(ours, theirs, sample.first)
    assert isinstance(merged, Merged)
    assert await repository.read_file(merged.tree, "src/app.py") == numbered(20, l2="ours", l18="theirs").encode()
    assert set(await repository.list_files(merged.tree)) == {"new", "notes.txt", "src/app.py"}


async def test_sides_that_meet_conflict_on_named_paths(repository: Repository, sample: Sample) -> None:
    odd = "a b\tc"
    base = sample.aside({odd: "x\n"})
    ours = sample.aside({"notes.txt": "ours\n", odd: "1\n", "fine": "f\n"}, base)
    theirs = sample.aside({"notes.txt": "theirs\n", odd: "2\n"}, base)
    conflicted = await repository.merge(ours, theirs, base)
    assert isinstance(conflicted, Conflicted)
    assert set(conflicted.paths) == {"notes.txt", odd}
    assert "notes.txt" in conflicted.detail and "fine" not in conflicted.detail


async def test_the_ancestor_that_is_told_is_the_one_that_counts(repository: Repository, sample: Sample) -> None:
    """A result is a tree against base: whatever history its commits have, or none at all."""
    ours = sample.aside({"notes.txt": "ours\n"})
    tree = await repository.tree_of(sample.aside({"notes.txt": "ours\n", "new": "n\n"}))
    unrelated = await repository.commit(tree, (), "no parents", as_person=False)
    merged = await repository.merge(sample.first, unrelated, ours)
    assert isinstance(merged, Merged)
    assert await repository.read_file(merged.tree, "notes.txt") == b"one\n"
    assert await repository.read_file(merged.tree, "new") == b"n\n"


async def test_a_merge_leaves_no_trace_in_the_checkout(repository: Repository, sample: Sample) -> None:
    before = sample.git("status", "--porcelain"), sample.git("count-objects", "-v")
    ours = sample.first
    await repository.merge(ours, ours, ours)
    assert (sample.git("status", "--porcelain"), sample.git("count-objects", "-v")) == before


# --------------------------------------------------------------------------------------- commits and refs


async def test_a_commit_says_who_made_it_and_is_the_same_again(repository: Repository, sample: Sample) -> None:
    tree = await repository.tree_of(sample.first)
    ours = await repository.commit(tree, (sample.first,), "größe\n\nbody\n", as_person=False, at=1_700_000_000.9)
    assert ours == await repository.commit(
        tree, (sample.first,), "größe\n\nbody\n", as_person=False, at=1_700_000_000.9
    )
    theirs = await repository.commit(tree, (sample.first,), "m", as_person=True, at=1_700_000_000)
    for number, commit in enumerate((ours, theirs)):
        await repository.keep(f"refs/heddle/results/{number}", commit)
    shape = "--format=%an|%ae|%cn|%ce|%at|%ct|%P|%T|%B"
    assert sample.git("log", "-1", shape, ours).splitlines()[0] == (
        f"Heddle|heddle@localhost|Heddle|heddle@localhost|1700000000|1700000000|{sample.first}|{tree}|größe"
    )
    assert sample.git("log", "-1", shape, theirs).startswith(f"{PERSON}|{EMAIL}|{PERSON}|{EMAIL}|1700000000|")


async def test_a_commit_of_a_missing_tree_is_an_error(repository: Repository, sample: Sample) -> None:
    with pytest.raises(OutsideError):
        await repository.commit("1" * 40, (sample.first,), "m", as_person=False)


async def test_kept_commits_are_found_and_forgotten(repository: Repository, sample: Sample) -> None:
    second = sample.aside({"a": "a\n"})
    await repository.keep("refs/heddle/results/t1", sample.first)
    await repository.keep("refs/heddle/results/t2", sample.first)
    await repository.keep("refs/heddle/results/t2", second)
    await repository.keep("refs/heddle/resultsX/t3", second)
    expected = (("refs/heddle/results/t1", sample.first), ("refs/heddle/results/t2", second))
    assert await repository.kept("results") == await repository.kept("refs/heddle/results/") == expected
    await repository.forget("refs/heddle/results/t1")
    await repository.forget("refs/heddle/results/t1")
    assert await repository.kept("results/") == expected[1:]


async def test_recovery_refs_are_never_forgotten(repository: Repository, sample: Sample) -> None:
    await repository.keep("refs/heddle/recovery/t1", sample.first)
    with pytest.raises(Refused):
        await repository.forget("refs/heddle/recovery/t1")
    assert await repository.kept("recovery") == (("refs/heddle/recovery/t1", sample.first),)


async def test_only_refs_of_heddle_are_written(repository: Repository, sample: Sample) -> None:
    for ref in ("refs/heads/main", "HEAD", "refs/heddle/a..b", "refs/heddle/x\0y", "refs/heddle/", "refs/heddle/a b"):
        with pytest.raises(Bug):
            await repository.keep(ref, sample.first)
        with pytest.raises(Bug):
            await repository.forget(ref)
        with pytest.raises(Bug):
            await repository.advance("main", sample.first, sample.first, {ref: sample.first})
    with pytest.raises(OutsideError):
        await repository.keep("refs/heddle/results/t1", "1" * 40)
    assert await repository.kept("results") == ()


# ------------------------------------------------------------------------------------------------ landing


async def test_a_landing_moves_branch_record_and_checkout(repository: Repository, sample: Sample) -> None:
    new = sample.aside({"notes.txt": "landed\n", "added/file": "f\n", "README": None})
    assert await repository.advance("main", sample.first, new, {RECORD: new}) == Advanced("updated")
    assert sample.git("rev-parse", "main", RECORD).split() == [new, new]
    assert sample.git("status", "--porcelain") == ""
    assert (sample.path / "notes.txt").read_text() == "landed\n"
    assert sample.git("reflog", "-1", "--format=%gs", "main") == "heddle: land 1"


async def test_a_landing_that_is_done_is_done_again_without_effect(repository: Repository, sample: Sample) -> None:
    new = sample.aside({"notes.txt": "landed\n"})
    await repository.advance("main", sample.first, new, {RECORD: new})
    sample.write({"notes.txt": "edited since\n"})
    sample.git("add", "notes.txt")
    assert await repository.advance("main", sample.first, new, {RECORD: new}) == Advanced("updated")
    assert (sample.path / "notes.txt").read_text() == "edited since\n"
    assert sample.git("diff", "--cached", "--name-only") == "notes.txt"


async def test_a_branch_that_nobody_looks_at_moves_alone(repository: Repository, sample: Sample) -> None:
    sample.git("branch", "quiet")
    sample.write({"notes.txt": "unsaved\n"})
    new = sample.aside({"notes.txt": "landed\n"})
    assert await repository.advance("quiet", sample.first, new, {RECORD: new}) == Advanced("not-checked-out")
    assert (sample.path / "notes.txt").read_text() == "unsaved\n"
    assert sample.git("rev-parse", "main", "quiet").split() == [sample.first, new]


async def test_a_branch_that_went_elsewhere_is_not_forced(repository: Repository, sample: Sample) -> None:
    new = sample.aside({"notes.txt": "landed\n"})
    elsewhere = sample.commit({"c": "c\n"})
    assert await repository.advance("main", sample.first, new, {RECORD: new}) == MovedOn(elsewhere)
    assert sample.git("rev-parse", "main") == elsewhere
    assert await repository.kept("landed") == ()
    assert await repository.advance("gone", sample.first, new, {RECORD: new}) == MovedOn("")


async def test_an_unsaved_change_in_the_way_holds_the_landing(repository: Repository, sample: Sample) -> None:
    new = sample.aside({"notes.txt": "landed\n", "README": "also\n"})
    sample.write({"notes.txt": "unsaved\n", "src/app.py": "free\n"})
    blocked = await repository.advance("main", sample.first, new, {RECORD: new})
    assert isinstance(blocked, Blocked) and blocked.paths == ("notes.txt",) and "notes.txt" in blocked.detail
    assert sample.git("rev-parse", "main") == sample.first and await repository.kept("landed") == ()
    assert (sample.path / "README").read_text() == "hello\n"


async def test_a_branch_with_a_leading_dash_lands(repository: Repository, sample: Sample) -> None:
    sample.git("update-ref", "refs/heads/-x", sample.first)
    sample.git("symbolic-ref", "HEAD", "refs/heads/-x")
    new = sample.aside({"notes.txt": "landed\n"})
    assert await repository.current_branch() == "-x"
    assert await repository.advance("-x", sample.first, new, {RECORD: new}) == Advanced("updated")
    for nonsense in ("a b", "a..b", "", "x\0y"):
        with pytest.raises(UserError):
            await repository.advance(nonsense, sample.first, new, {RECORD: new})
