"""Who is given which note and when, against a real repository: once, on record before it is sent, and by what code says."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

from heddle.adapters.git.opening import open_repository
from heddle.adapters.journal.memory import MemoryJournal
from heddle.core import events as e
from heddle.core.notes import Note, NoteKind
from heddle.core.scope import Scope
from heddle.core.session import TurnOutcome
from heddle.core.task import Stage, Task
from heddle.engine.noting import Noting
from heddle.engine.ruling import Ruling
from heddle.engine.runs import Runs
from heddle.ports import Change, Changes
from support.fleet import git, make_repository

ANYWHERE = Scope(("a.py",))
KEY, NOTHING = "T1-1-execute-1", Changes(())


class Desk:
    """A task under way in a real repository, and its notes."""

    def __init__(self, runs: Runs, site: Any, root: Path) -> None:
        self.runs, self.noting, self.ruling, self.root = runs, Noting(runs, site), Ruling(runs, site), root

    async def warn(self, text: str = "mind", *paths: str, symbols: tuple[str, ...] = ()) -> str:
        return (await self.noting.write(None, "", NoteKind.WARNING, text, paths, symbols)).id

    async def begin(self, session: str) -> None:
        await self.runs.record("T1", e.SessionStarted(session, "x", KEY.lower(), Stage.EXECUTE, 1, 0))

    async def start(self, session: str, follows: str = "", scope: Scope = ANYWHERE) -> list[str]:
        return ids(await self.noting.at_start(self.runs.require("T1"), session, scope, follows))

    async def after(self, session: str, turn: int, changes: Changes = NOTHING, scope: Scope = ANYWHERE) -> list[str]:
        async def look() -> Changes:
            return changes

        return ids(await self.noting.after(self.runs.require("T1"), session, turn, scope, look))


def ids(notes: tuple[Note, ...]) -> list[str]:
    return [note.id for note in notes]


async def desk(root: Path, **files: str) -> Desk:
    make_repository(root, {"a.py": "x = 1\n", **files})
    repository = await open_repository(root)

    async def secrets(base: str) -> tuple[str, ...]:
        return ()

    clock: Any = SimpleNamespace(now=lambda: 0.0)
    runs = Runs(MemoryJournal(clock))
    base = await repository.resolve("HEAD")
    task = Task("T1", repository.key, str(root), "main", "do it")
    await runs.record("T1", e.TaskAdded(task), e.RunStarted(1, base), e.StageStarted(Stage.EXECUTE, 1, KEY))
    site: Any = SimpleNamespace(repository=repository, workspaces=SimpleNamespace(secrets=secrets))
    return Desk(runs, site, root)


async def test_d1_what_a_session_that_was_let_go_did_not_hear_is_not_said_to_be_given_to_it(tmp_path: Path) -> None:
    """It ended its turn, there was nothing to tell, its input was closed; then a daemon replays that end."""
    here = await desk(tmp_path / "repo")
    await here.begin(f"{KEY}.1")
    assert await here.after(f"{KEY}.1", 1) == []
    id = await here.warn()
    (here.root / "AGENTS.md").write_text("Anew.\n")
    git(here.root, "add", "-A")
    git(here.root, "commit", "-qm", "rules")
    run, decided = here.runs.require("T1"), here.noting.decided(f"{KEY}.1", 1)
    assert await here.ruling.after(run, f"{KEY}.1", 1, decided=decided) == ""
    assert await here.after(f"{KEY}.1", 1) == []
    assert not any(id in given.notes for given in here.runs.notebook(run.task.repository).given)
    assert "Anew." in await here.ruling.after(run, f"{KEY}.1", 2, decided=False)
    assert await here.after(f"{KEY}.1", 2) == [id]


async def test_d1_a_conversation_that_goes_on_is_given_again_only_what_nothing_tells_that_it_had(
    tmp_path: Path,
) -> None:
    here = await desk(tmp_path / "repo")
    first = await here.warn("first")
    assert await here.start(f"{KEY}.1") == [first]
    await here.begin(f"{KEY}.1")
    ended = e.TurnRecorded(9, TurnOutcome.ENDED, "")
    await here.runs.record_other(f"session:{KEY}.1", ended)
    second = await here.warn("second")
    assert await here.after(f"{KEY}.1", 1) == [second]  # and then its process is lost
    assert await here.start(f"{KEY}.2", follows=f"{KEY}.1") == [second]
    await here.begin(f"{KEY}.2")
    assert await here.after(f"{KEY}.2", 1) == []
    await here.runs.record_other(f"session:{KEY}.2", e.ToolUsed(3, "read", "look", ()))
    assert await here.start(f"{KEY}.3", follows=f"{KEY}.2") == []
    assert await here.start(f"{KEY}.4") == [first, second]  # a conversation of its own knows nothing of them
    again = Runs(here.runs.journal)
    await again.load()
    assert [again.heard(f"{KEY}.{n}") for n in (1, 2, 3)] == [1, 1, 0]


async def test_a_question_is_evidence_that_the_message_before_it_was_heard(tmp_path: Path) -> None:
    here = await desk(tmp_path / "repo")
    await here.runs.record("T1", e.QuestionAsked(f"{KEY}.1/1", "which?", (), "", f"{KEY}.1"))
    assert here.runs.heard(f"{KEY}.1") == 1


async def test_a_note_about_a_symbol_reaches_who_is_to_write_a_file_that_uses_it(tmp_path: Path) -> None:
    files = {"stats.py": "def mean(): ...\n", "use.py": "from stats import mean\n"}
    here = await desk(tmp_path / "repo", **files)
    id = await here.warn("it takes no list any more", symbols=("stats.mean",))
    assert await here.start(f"{KEY}.1", scope=Scope(("a.py",))) == []
    assert await here.start(f"{KEY}.2", scope=Scope(("use.py",))) == [id]
    assert await here.start(f"{KEY}.3", scope=Scope(("stats.py",))) == [id]
    (here.root / "a.py").write_text("import stats\nstats.mean()\n")
    git(here.root, "commit", "-qam", "use it")
    tree = git(here.root, "rev-parse", "HEAD^{tree}")
    changes = Changes((Change("a.py", "modified"), Change("gone.py", "deleted")), tree=tree)
    assert await here.after(f"{KEY}.4", 1, changes) == [id]


async def test_a_note_about_a_symbol_ends_when_what_defines_it_changed(tmp_path: Path) -> None:
    here = await desk(tmp_path / "repo", **{"stats.py": "def mean(): ...\n"})
    run = here.runs.require("T1")
    one = await here.noting.write(run, "T9-1-execute-1.1", NoteKind.DISCOVERY, "it is slow", (), ("stats.mean",))
    await here.runs.record("T2", e.TaskAdded(Task("T2", run.task.repository, str(here.root), "main", "other")))

    async def holds() -> bool:
        base = git(here.root, "rev-parse", "HEAD")
        await here.runs.record("T2", e.RunStarted(here.runs.require("T2").number + 1, base))
        return one in await here.noting.current(here.runs.require("T2"), most=9)

    assert await holds()
    (here.root / "a.py").write_text("from stats import mean\n")
    git(here.root, "commit", "-qam", "use it")
    assert await holds()
    (here.root / "stats.py").write_text("def mean(): return 1\n")
    git(here.root, "commit", "-qam", "make it fast")
    assert not await holds()
