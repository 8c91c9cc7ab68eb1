"""How a session hears what main changed under it, against a real repository: each change once, and what concerns it."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

from heddle.adapters.git.opening import open_repository
from heddle.adapters.journal.memory import MemoryJournal
from heddle.core import events as e
from heddle.core.session import TurnOutcome
from heddle.core.task import Lane, Stage, Task
from heddle.engine.refreshing import Refreshing
from heddle.engine.runs import Runs
from support.fleet import git, make_repository

KEY = "T1-1-execute-1"


class Desk:
    """A task under way that may write src, and whose research names a.py."""

    def __init__(self, runs: Runs, site: Any, root: Path) -> None:
        self.runs, self.refreshing, self.root = runs, Refreshing(runs, site), root

    def commit(self, **files: str) -> None:
        for name, text in files.items():
            path = self.root / name.replace("__", "/").replace("_", ".")
            path.parent.mkdir(exist_ok=True)
            path.write_text(text)
        git(self.root, "add", "-A")
        git(self.root, "commit", "-qm", "more")

    async def hears(self, session: str, turn: int, *own: str, resumed: bool = False, decided: bool = False) -> str:
        async def touched() -> tuple[str, ...]:
            return own

        run = self.runs.require("T1")
        name = f"{KEY}.{session}"
        return await self.refreshing.after(run, name, turn, touched, resumed=resumed, decided=decided)


async def desk(root: Path) -> Desk:
    make_repository(root, {"a.py": "x = 1\n", "src/b.py": "x = 1\n"})
    repository = await open_repository(root)
    clock: Any = SimpleNamespace(now=lambda: 0.0)
    runs = Runs(MemoryJournal(clock))
    task = Task("T1", repository.key, str(root), "main", "do it", Lane.QUICK, scope=("src/**",))
    begun = (e.RunStarted(1, await repository.resolve("HEAD")), e.ResearchDelivered(1, "- a.py:1"))
    await runs.record("T1", e.TaskAdded(task), *begun, e.StageStarted(Stage.EXECUTE, 1, KEY))
    site: Any = SimpleNamespace(repository=repository)
    return Desk(runs, site, root)


async def test_d1_a_session_hears_each_change_of_what_it_relies_on_once(tmp_path: Path) -> None:
    here = await desk(tmp_path / "repo")
    assert await here.hears("1", 1) == ""
    here.commit(a_py="x = 2\n", src__b_py="x = 2\n", src__own_py="mine\n", docs__c_md="far\n", AGENTS_md="Anew.\n")
    assert await here.hears("1", 1, "src/own.py", decided=True) == ""  # it was let go
    told = await here.hears("1", 1, "src/own.py")
    assert told.splitlines()[0] == "a.py, src/b.py" and "+x = 2" in told
    assert not any(word in told for word in ("mine", "far", "Anew"))
    again = Runs(here.runs.journal)
    await again.load()
    here.commit(src__b_py="x = 3\n")
    for runs in (here.runs, again):  # a replay tells the same, whatever it touched and main became meanwhile
        here.runs = here.refreshing._runs = runs
        assert await here.hears("1", 1, "src/b.py", decided=True) == told
    second = await here.hears("1", 2)
    assert second.splitlines()[0] == "src/b.py" and "-x = 2" in second and "+x = 3" in second
    here.commit(src__b_py="x = 4\n")
    assert await here.hears("1", 3) == ""  # often enough
    await here.runs.record_other(f"session:{KEY}.1", *(e.TurnRecorded(n, TurnOutcome.ENDED, "") for n in (1, 2, 3)))
    follows = await here.hears("2", 1, resumed=True)
    assert follows.splitlines()[0] == "src/b.py" and "-x = 3" in follows
    assert (await here.hears("3", 1)).splitlines()[
        0
    ] == "a.py, src/b.py, src/own.py"  # a conversation of its own knows nothing


async def test_p4_what_it_hears_is_bounded_whatever_main_holds(tmp_path: Path) -> None:
    here = await desk(tmp_path / "repo")
    (here.root / "src" / "odd\nname\t.txt").write_text("odd\n")
    (here.root / "src" / "blob.bin").write_bytes(b"\0" * 5_000)
    here.commit(src__b_py="y" * 100_000 + "\n" * 5_000)
    told = await here.hears("1", 1)
    assert told.splitlines()[0].startswith("src/b.py, src/blob.bin, src/odd")
    assert len(told) < 20_000 and told.endswith("read the rest on the branch it is to land on]")
