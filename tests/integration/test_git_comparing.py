"""Many merges in one process say what each alone says, and an error is never an answer (M3)."""

import random
from pathlib import Path

import pytest
import pytest_asyncio

from heddle.adapters.git import GitRepository, comparing, open_repository
from heddle.core.radar import Hunk, Touched, meetings, places
from heddle.ports import Conflicted, Merged, Trio, Unmerged
from repositories import Sample, numbered

pytestmark = pytest.mark.asyncio


@pytest.fixture
def sample(tmp_path: Path) -> Sample:
    return Sample(tmp_path)


@pytest_asyncio.fixture
async def repository(sample: Sample) -> GitRepository:
    return await open_repository(sample.path, sample.env)


def loose(sample: Sample, oid: str) -> Path:
    return sample.git_dir / "objects" / oid[:2] / oid[2:]


async def test_a_batch_agrees_with_single_merges_and_what_cannot_meet_cannot_conflict(
    repository: GitRepository, sample: Sample
) -> None:
    """On sides made by chance, renames, deletions and folders in place of files among them."""
    dice = random.Random(20)
    sides = [sample.aside(_changes(dice), sample.first) for _ in range(14)]
    pairs = [(a, b) for n, a in enumerate(sides) for b in sides[:n]]
    trees = {side: await repository.tree_of(side) for side in (sample.first, *sides)}
    trios = [Trio(trees[a], trees[b], trees[sample.first]) for a, b in pairs]
    told = await repository.merges(trios)
    asked = [(trees[sample.first], trees[side]) for side in sides]
    touched = {side: places(found or ()) for side, found in zip(sides, await repository.touched(asked), strict=True)}
    kinds = set()
    for (a, b), found in zip(pairs, told, strict=True):
        assert found == await repository.merge(a, b, sample.first)
        kinds.add(type(found))
        if not meetings(touched[a], touched[b]):
            assert isinstance(found, Merged), (touched[a], touched[b])
    assert kinds == {Merged, Conflicted}


def _changes(dice: random.Random) -> dict[str, str | None]:
    lines = {f"l{dice.randint(1, 20)}": str(dice.random()) for _ in range(2)}
    changed = {"src/app.py": numbered(20, **lines)}
    return dice.choice(
        [
            changed,
            {"notes.txt": f"{dice.random()}\n"},
            {"notes.txt": None},
            {"notes.txt": None, "notes.txt/more": "x\n"},
            {"src/app.py": None, "lib/app.py": numbered(20)},
            {"src/new.py": "fresh\n"},
            {**changed, "README": "hello you\n"},
        ]
    )


async def test_one_pair_that_git_gives_up_on_is_unknown_and_spoils_no_other(
    repository: GitRepository, sample: Sample
) -> None:
    ours = sample.aside({"src/app.py": numbered(20, l2="ours")})
    theirs = sample.aside({"src/app.py": numbered(20, l2="theirs")})
    broken = sample.aside({"src/app.py": numbered(20, l18="broken")})
    aside = sample.aside({"notes.txt": "aside\n"})
    loose(sample, sample.git("rev-parse", f"{broken}:src/app.py")).unlink()
    ours, theirs, broken, aside, first = [
        await repository.tree_of(one) for one in (ours, theirs, broken, aside, sample.first)
    ]
    trios = [
        Trio(ours, theirs, first),
        Trio(ours, broken, first),
        Trio("1" * 40, ours, first),
        Trio(ours, aside, first),
    ]
    told = await repository.merges([*trios, trios[0]])
    assert [type(one) for one in told] == [Conflicted, Unmerged, Unmerged, Merged, Conflicted]
    assert isinstance(told[0], Conflicted) and told[0].paths == ("src/app.py",)
    assert all(isinstance(one, Unmerged) and one.why for one in told[1:3])
    (nowhere,) = await repository.merges([Trio(ours, theirs, "1" * 40)])
    assert isinstance(nowhere, Unmerged)
    assert await repository.merges([]) == ()


async def test_what_a_batch_makes_lies_aside_and_goes(
    repository: GitRepository, sample: Sample, monkeypatch: pytest.MonkeyPatch
) -> None:
    ours, theirs, other = (sample.aside({"src/app.py": numbered(20, **{line: "x"})}) for line in ("l2", "l18", "l9"))
    ours, theirs, other, base = [await repository.tree_of(one) for one in (ours, theirs, other, sample.first)]
    (told,) = await repository.merges([Trio(ours, theirs, base)])
    assert isinstance(told, Merged)
    found = [path for path in sample.git_dir.rglob("*") if path.name == told.tree[2:]]
    assert [path.parent.parent for path in found] == [sample.git_dir / "heddle" / "merges" / "objects"]
    monkeypatch.setattr(comparing, "KEPT_S", -1.0)
    await repository.merges([Trio(ours, other, base)])
    assert not found[0].exists()
    assert not list((sample.git_dir / "heddle").glob("wraps-*"))


async def test_attributes_and_drivers_of_the_base_hold_and_no_program_of_the_repository_runs(
    sample: Sample, tmp_path: Path
) -> None:
    base = sample.commit({".gitattributes": "*.md merge=union\n*.drv merge=own\n", "a.md": "a\n", "a.drv": "a\n"})
    sample.git("config", "merge.own.driver", f"touch {tmp_path}/ran")
    repository = await open_repository(sample.path, sample.env)
    sides = [sample.aside({name: f"a\n{side}\n"}, base) for name in ("a.md", "a.drv") for side in ("ours", "theirs")]
    sides, base = [await repository.tree_of(side) for side in sides], await repository.tree_of(base)
    union, driven = await repository.merges([Trio(sides[0], sides[1], base), Trio(sides[2], sides[3], base)])
    assert isinstance(union, Merged) and isinstance(driven, Conflicted)
    assert not (tmp_path / "ran").exists()


async def test_what_is_touched_is_told_with_renames(repository: GitRepository, sample: Sample) -> None:
    new = sample.aside({"src/app.py": None, "lib/app.py": numbered(20, l3="x"), "notes.txt": None, "ö\t x": "new\n"})
    blob = {name: sample.git("rev-parse", f"{sample.first}:{name}") for name in ("src/app.py", "notes.txt")}
    pair = (await repository.tree_of(sample.first), await repository.tree_of(new))
    gone, found, same = await repository.touched([(pair[0], "1" * 40), pair, (pair[0], pair[0])])
    told = {one.path: one for one in found or ()}
    assert set(told) == {"lib/app.py", "notes.txt", "ö\t x"}
    assert told["lib/app.py"].origin == "src/app.py" and told["lib/app.py"].before == blob["src/app.py"]
    assert told["notes.txt"] == Touched("notes.txt", blob["notes.txt"], "")
    assert (gone, same) == (None, ())
    assert told["ö\t x"].before == "" and len(told["ö\t x"].after) == 40


async def test_contents_are_told_of_files_alone(repository: GitRepository, sample: Sample) -> None:
    blob = sample.git("rev-parse", "HEAD:README")
    large = sample.git("hash-object", "-w", "--stdin", stdin="x" * 1_000_001)
    tree = sample.git("rev-parse", "HEAD:src")
    told = await repository.contents([blob, "", tree, large, "1" * 40, blob])
    assert told == (b"hello\n", None, None, None, None, b"hello\n")
    assert await repository.contents([""]) == (None,)


async def test_hunks_are_lines_of_the_old_side_and_text_that_looks_like_a_patch_is_text(
    repository: GitRepository, sample: Sample
) -> None:
    odd = 'we"ird\t\\ é'
    base = sample.commit({"sp ace": "1\n-- x\n3\n4\n5", odd: "1\n2\n", "gone": "1\n2\n", "same": "1\n"})
    new = sample.aside(
        {"sp ace": "1\n++ y\n@@ -9 +9 @@\n3\n4\n5\n6", odd: "0\n1\n2\n3\n", "gone": None, "fresh": "1\n"}, base
    )
    pair, same = [
        (await repository.tree_of(old), await repository.tree_of(after)) for old, after in ((base, new), (base, base))
    ]
    told, nothing, again = await repository.hunks([pair, same, pair], ["sp ace", odd, "gone", "fresh", "same"])
    assert told == {
        "sp ace": (Hunk(2, 2), Hunk(5, 5)),
        odd: (Hunk(0, 0), Hunk(2, 2)),
        "gone": (Hunk(1, 2),),
        "fresh": (Hunk(0, 0),),
    }
    assert (nothing, again) == ({}, told)
    assert await repository.hunks([], ["same"]) == ()
