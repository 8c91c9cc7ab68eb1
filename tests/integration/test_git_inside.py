"""The reader that runs in a box: it starts anew for every look, so it is light; and it bounds what git says."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

import heddle
from heddle.adapters.git import inside
from heddle.adapters.git.commands import Place
from heddle.adapters.git.inside import OwnGit, run_through
from heddle.core.errors import OutsideError
from repositories import Sample

SOURCE = Path(heddle.__file__).parent.parent
HEAVY = ("asyncio", "tempfile", "logging", "socket", "msgspec", "heddle.ports", "heddle.core.events")


def test_it_loads_what_it_needs_alone() -> None:
    script = f"import sys; sys.path.append({str(SOURCE)!r}); import heddle.adapters.git.inside; print(*sys.modules)"
    done = subprocess.run((sys.executable, "-I", "-S", "-c", script), capture_output=True, text=True, check=True)
    assert set(done.stdout.split()).intersection(HEAVY) == set()


@pytest.fixture
def sample(tmp_path: Path) -> Sample:
    return Sample(tmp_path)


def test_a_command_gets_its_input_and_tells_how_it_ended(sample: Sample) -> None:
    git, place = OwnGit(sample.folder), Place(sample.git_dir, sample.path)
    size = 3_000_000  # more than any pipe holds
    told = run_through(git.run("hash-object", "--stdin", place=place, stdin=b"x" * size))
    assert told.text == sample.git("hash-object", "--stdin", stdin="x" * size)
    assert run_through(git.run("rev-parse", "--verify", "-q", "no", place=place, ok=(0, 1))).status == 1
    with pytest.raises(OutsideError) as caught:
        run_through(git.run("rev-parse", "--verify", "no", place=place))
    assert "single revision" in str(caught.value.facts["tail"])
    assert list(sample.folder.glob("stream-*")) == []


def test_more_than_any_answer_has_ends_the_command(sample: Sample, monkeypatch: pytest.MonkeyPatch) -> None:
    sample.commit({"large": "x" * 100_000})
    monkeypatch.setattr(inside, "LIMIT", 10_000)
    with pytest.raises(OutsideError) as caught:
        run_through(
            OwnGit(sample.folder).run("cat-file", "blob", "HEAD:large", place=Place(sample.git_dir, sample.path))
        )
    assert caught.value.slug == "output-limit"


def test_w6_what_a_killed_reader_left_keeps_nobody_from_reading(sample: Sample) -> None:
    """The daemon was killed, and with it who read for it: its locks are nobody's any more."""
    own = sample.git_dir / "heddle"
    own.mkdir()
    for number in range(1, 6):
        (own / f"index-{os.getpid()}-{number}.lock").touch()
    (own / "mine").mkdir()
    lock = sample.git_dir / f"{inside.OUT}.lock"
    lock.parent.mkdir(parents=True)
    lock.touch()
    sample.write({"new": "n\n"})
    for _ in range(2):
        for base in ("", sample.git("rev-parse", "HEAD")):
            told = run_through(inside.read(sample.path, base, 1_000_000))
            assert sample.git("show", f"{inside.OUT}:new") == "n"
            assert sample.git("rev-parse", inside.OUT) == told["out"]
    assert [path.name for path in own.iterdir()] == ["mine"]
    (own / "mine").rmdir()
    own.rmdir()
    own.symlink_to(sample.path)
    run_through(inside.read(sample.path, "", 0))
    assert (sample.path / "new").exists(), "a link leads to nothing of ours"
