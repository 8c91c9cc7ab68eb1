"""Lines of work compared on real repositories: every level, what is stale, and that an error is unknown (M3)."""

from dataclasses import replace
from pathlib import Path

import pytest
import pytest_asyncio

from heddle.adapters.git import GitRepository, open_repository
from heddle.core.errors import OutsideError
from heddle.core.radar import MAIN, Level
from heddle.engine.comparison import Comparison, Line
from repositories import Sample, numbered

pytestmark = pytest.mark.asyncio

MODULE = "def first(a):\n" + "".join(f"    a += {n}\n" for n in range(20)) + "    return a\n\n\nLIMIT = 1\n"


@pytest.fixture
def sample(tmp_path: Path) -> Sample:
    return Sample(tmp_path)


@pytest_asyncio.fixture
async def repository(sample: Sample) -> GitRepository:
    return await open_repository(sample.path, sample.env)


async def line(repository: GitRepository, task: str, base: str, commit: str, contest: str = "") -> Line:
    return Line(task, base, await repository.tree_of(commit), "main", contest)


async def levels(comparison: Comparison, *lines: Line) -> dict[tuple[str, str], Level | None]:
    return {pair: drift.level for pair, drift in (await comparison.drifts(lines)).items()}


async def test_every_two_are_compared_and_what_was_found_is_not_looked_for_again(
    repository: GitRepository, sample: Sample, monkeypatch: pytest.MonkeyPatch
) -> None:
    base = sample.commit({"m.py": MODULE})
    made = [
        {"src/app.py": numbered(20, l2="one")},
        {"src/app.py": numbered(20, l2="other")},
        {"src/app.py": numbered(20, l18="far")},
        {"src/app.py": numbered(20, l4="close")},
        {"m.py": MODULE.replace("a += 2\n", "a += 22\n")},
        {"m.py": MODULE.replace("a += 18\n", "a += 88\n")},
        {"m.py": MODULE.replace("LIMIT = 1", "LIMIT = 2")},
    ]
    lines = [await line(repository, f"T{n}", base, sample.aside(files, base)) for n, files in enumerate(made, start=1)]
    comparison = Comparison(repository)
    found = await levels(comparison, *lines)
    assert found["T1", "T2"] is Level.CONFLICT
    assert found["T1", "T3"] is Level.SAME_FILE
    assert found["T1", "T4"] is Level.NEAR
    assert found["T1", "T5"] is Level.CLEAR
    assert found["T5", "T6"] is Level.NEAR  # one function
    assert found["T5", "T7"] is Level.SAME_FILE
    assert found["T1", MAIN] is Level.CLEAR
    assert len(found) == 21 + 7

    async def never(*_: object) -> object:
        raise AssertionError("it was known already")

    for name in ("merges", "contents", "hunks", "touched"):
        monkeypatch.setattr(repository, name, never)
    assert await levels(comparison, *lines) == found
    assert await levels(comparison, *lines[:2]) == {k: v for k, v in found.items() if set(k) <= {"T1", "T2", MAIN}}


async def test_rivals_and_other_branches_are_not_compared(repository: GitRepository, sample: Sample) -> None:
    one, other = (sample.aside({"src/app.py": numbered(20, l2=word)}) for word in ("one", "other"))
    sample.git("branch", "side")
    lines = [await line(repository, task, sample.first, commit) for task, commit in (("T1", one), ("T2", other))]
    assert (await levels(Comparison(repository), *lines))["T1", "T2"] is Level.CONFLICT
    for apart in (
        [replace(one_line, contest="T1") for one_line in lines],
        [lines[0], replace(lines[1], branch="side")],
    ):
        assert ("T1", "T2") not in await levels(Comparison(repository), *apart)


async def test_what_is_stale_is_held_against_main_and_not_against_who_took_it_over(
    repository: GitRepository, sample: Sample
) -> None:
    old = sample.first
    stale = sample.aside({"src/app.py": numbered(20, l2="mine"), "notes.txt": "mine\n"}, old)
    new = sample.commit({"src/app.py": numbered(20, l2="landed")})
    fresh = sample.aside({"notes.txt": "one\n" * 9, "README": "new\n"}, new)
    lines = [await line(repository, "T1", old, stale), await line(repository, "T2", new, fresh)]
    drifts = await Comparison(repository).drifts(lines)
    assert (drifts["T1", MAIN].level, drifts["T1", MAIN].paths) == (Level.CONFLICT, ("src/app.py",))
    assert drifts["T2", MAIN].level is Level.CLEAR
    assert (drifts["T1", "T2"].level, drifts["T1", "T2"].paths) == (Level.CONFLICT, ("notes.txt",))


async def test_what_git_fails_on_is_unknown_and_asked_again(
    repository: GitRepository, sample: Sample, monkeypatch: pytest.MonkeyPatch
) -> None:
    one, other = (sample.aside({"src/app.py": numbered(20, **{at: "x"})}) for at in ("l2", "l18"))
    lines = [await line(repository, "T1", sample.first, one), await line(repository, "T2", sample.first, other)]
    comparison = Comparison(repository)
    real, asked = repository.merges, []

    async def fails(trios: object) -> object:
        asked.append(trios)
        raise OutsideError("git died", slug="git-failed")

    monkeypatch.setattr(repository, "merges", fails)
    for _ in range(2):
        drift = (await comparison.drifts(lines))["T1", "T2"]
        assert (drift.level, drift.detail) == (None, "git died")
    assert len(asked) == 2
    monkeypatch.setattr(repository, "merges", real)
    assert (await levels(comparison, *lines))["T1", "T2"] is Level.SAME_FILE
    gone = replace(lines[1], tree="1" * 40)
    found = await levels(comparison, lines[0], gone)
    assert found["T1", "T2"] is None and found["T1", MAIN] is Level.CLEAR
