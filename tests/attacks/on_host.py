"""Attacks on whoever reads what a session left: links, pipes, bombs, floods. No sandbox decides these; Heddle does."""

import stat
from pathlib import Path

import pytest

from attacks.attack import Attack, patched
from attacks.scene import Scene
from attacks.victims import SECRET
from heddle.adapters.git.privates import GitPrivates
from heddle.adapters.workspaces import documents
from heddle.adapters.workspaces.private import workspace
from heddle.ports import Collected
from support import yard

READS, FLOOD = 500, 100_000


def careless_reader(monkeypatch: pytest.MonkeyPatch) -> None:
    """A host that opens what has the name of a document."""
    monkeypatch.setattr(workspace, "load_document", lambda folder, name, limit: Path(folder, name).read_bytes())


def careless_writer(monkeypatch: pytest.MonkeyPatch) -> None:
    """A host that writes into what has the name of its draft."""

    def place(folder: Path, name: str, data: bytes) -> None:
        draft = folder / documents._DRAFT
        draft.write_bytes(data)
        draft.replace(folder / name)

    monkeypatch.setattr(workspace, "place_document", place)


def ungated(monkeypatch: pytest.MonkeyPatch) -> None:
    """A host that believes what was judged inside about sizes."""

    async def whatever(*_: object) -> None:
        return None

    monkeypatch.setattr(GitPrivates, "_require_small", whatever)


def unmeasured(monkeypatch: pytest.MonkeyPatch) -> None:
    """A host that takes any object, whatever it takes of its memory."""
    monkeypatch.setattr(yard, "OBJECT_MB", 4096)


def unbounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """A holder that keeps whatever comes."""
    code = """
from heddle.holder import supervisor
start = supervisor.Supervisor.start
def endless(self):
    self.limit = 1 << 40
    start(self)
supervisor.Supervisor.start = endless
"""
    patched(monkeypatch, code)


async def document_tells(scene: Scene) -> bool:
    """The host took the secret for a document of the session's."""
    return SECRET.encode() in (await scene.mine.taken("handoff.md") or b"")


async def flipped(scene: Scene) -> bool:
    """Read again and again while the session changes what lies there."""
    await scene.hear("begun")
    harmless = 0
    while harmless < READS:
        try:
            said = await scene.mine.taken("handoff.md") or b""
        except OSError:  # a careless reader came between two renames
            continue
        if SECRET.encode() in said:
            return True
        harmless += said == b"harmless\n"
    return False


async def written_to(scene: Scene) -> bool:
    """What the host wrote for the session to read went into a pipe of the session's."""
    await scene.hear("begun")
    await scene.mine.put("note.md", b"from the host\n")
    return not stat.S_ISREG((scene.of(scene.mine) / "out" / "note.md").lstat().st_mode)


async def inflated(scene: Scene) -> bool:
    """The host took a result in which a file is larger than results may hold."""
    collected = await scene.read()
    if not isinstance(collected, Collected):
        return False
    sizes = scene.yard.sample.git("ls-tree", "-r", "-l", collected.commit)
    return any(int(line.split()[3]) > 1_000_000 for line in sizes.splitlines())


async def swallowed(scene: Scene) -> bool:
    """The host took the result, and with it a commit that takes a lot of memory to be looked at."""
    return isinstance(await scene.read(), Collected)


async def flooded(scene: Scene) -> bool:
    """The transcript holds more than it may."""
    assert scene.attacker is not None
    await scene.attacker.exit()
    return len(scene.attacker.load_output(10_000_000)) > FLOOD


ATTACKS = (
    Attack(
        row="10",
        name="a link as a document",
        script='ln -s "$PERSON/.ssh/id_ed25519" "$OUT/handoff.md"',
        through=document_tells,
        control="a box whose documents are read by a host that follows links",
        without=careless_reader,
    ),
    Attack(
        row="10b",
        name="a pipe where Heddle writes",
        stays=True,
        script='mkfifo "$OUT/.heddle-draft"; echo begun; exec cat "$OUT/.heddle-draft"',
        through=written_to,
        control="a box whose documents are written by a host that opens what is there",
        without=careless_writer,
    ),
    Attack(
        row="53",
        name="a link as a document now and then",
        stays=True,
        script="""
cd "$OUT"; echo harmless > plain; ln -s "$PERSON/.netrc" link; echo begun
while :; do cp plain new; mv -f new handoff.md; cp -P link new; mv -f new handoff.md; done
""",
        through=flipped,
        control="a box whose documents are read by a host that follows links",
        without=careless_reader,
    ),
    Attack(
        row="38",
        name="a small file that is a bomb in git",
        script="""
for where in --local --global; do git config $where filter.bomb.clean 'head -c 4000000 /dev/zero'; done
echo 'bomb filter=bomb' > .gitattributes; echo small > bomb
""",
        through=inflated,
        control="a box whose results are taken by a host without a gate for sizes",
        without=ungated,
    ),
    Attack(
        row="38b",
        name="a commit that is a bomb in memory",
        python=True,
        script="""
import subprocess
def git(*words, data=b""):
    return subprocess.run(("git", *words), input=data, stdout=-1, check=True).stdout.decode().strip()
tree, parent, person = git("rev-parse", "HEAD^{tree}"), git("rev-parse", "HEAD"), "x <x@y> 1700000000 +0000"
about = f"tree {tree}\\nparent {parent}\\nauthor {person}\\ncommitter {person}\\n\\n"
bomb = git("hash-object", "-t", "commit", "-w", "--stdin", data=about.encode() + b"a" * 18_000_000)
git("update-ref", "HEAD", bomb)
""",
        through=swallowed,
        control="a box whose results are taken by a host that gives them any memory",
        without=unmeasured,
    ),
    Attack(
        row="55",
        name="a flood of output",
        stays=True,
        limit=FLOOD,
        script="head -c 3000000 /dev/zero",
        through=flooded,
        control="a box with a holder that keeps whatever comes",
        without=unbounded,
    ),
)
