"""A person takes a session over on its agent's own screen, and hands it back."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from heddle.core.errors import HeddleError, Refused
from support.fleet import Heddle, heddle, make_repository, scene, write_agent, writes
from support.visitor import Visitor

TIERS = pytest.mark.parametrize("tier", ["0", "1", "2"])
HANDED_BACK = "handed it back"


def scenes() -> list[dict[str, Any]]:
    """An executing agent that asks before it writes, and after it was taken over only says that it is done."""
    asks = scene("execute", {"do": "ask", "text": "go on?"}, {"do": "write", "path": "b.txt", "text": "agent\n"})
    back = scene("execute", {"do": "document", "text": "handed back\n"}, task=HANDED_BACK)
    return [back, asks, *writes("b.txt")]


async def executing(fleet: Heddle, **params: Any) -> str:
    id = await fleet.start("write b", lane="quick", scope=["**"], checks=["test -s b.txt"], **params)
    await fleet.until_kind(id, "question-asked")
    return id


async def refusal(fleet: Heddle, task: str) -> HeddleError:
    with pytest.raises(HeddleError) as caught:
        await fleet.call("session.attach", task=task)
    assert caught.value.hint
    return caught.value


@pytest.fixture
async def people() -> AsyncIterator[list[Visitor]]:
    came: list[Visitor] = []
    yield came
    for visitor in came:
        visitor.close()


def said(visitor: Visitor, line: str, answer: str) -> None:
    visitor.type(f"{line}\r")
    visitor.see(answer)


@TIERS
async def test_a_person_takes_over_and_the_run_goes_on_from_what_is_there(
    tmp_path: Path, tier: str, people: list[Visitor]
) -> None:
    repository = make_repository(tmp_path / "repo")
    async with heddle(tmp_path, repository, scenes(), f'[sandbox]\ntier = "{tier}"\n') as fleet:
        id = await executing(fleet)
        told = await fleet.call("session.attach", task=id.lower(), term="xterm")
        session = f"{id}-1-execute-1.1"
        assert (told["session"], told["agent"], told["stage"]) == (session, "rehearsal", "execute")
        ended = await fleet.house.enclosures.none.find(session)
        assert ended is not None and ended.ended() is not None  # nobody else has the conversation
        shown = await fleet.call("task.show", task=id)
        assert (shown["status"], shown["why"]) == ("waiting", "a person talks to the agent; it goes on when they leave")
        assert (await fleet.call("inbox"))["items"] == []  # its question is theirs now
        assert (await refusal(fleet, id)).slug == "person-inside"
        visitor = Visitor(told["argv"])
        people.append(visitor)
        await asyncio.to_thread(visitor.see, "rehearsal, session rehearsal-")
        await asyncio.to_thread(said, visitor, "write b.txt person", "wrote b.txt")
        await asyncio.to_thread(said, visitor, "run cat a.py", "x = 1")
        visitor.type("quit\r")
        assert await asyncio.to_thread(visitor.left) == 0
        rows = await fleet.until(id)
        assert rows[0]["status"] == "landed", rows[0]["why"]
        kinds = await fleet.kinds(id)
    assert (repository / "b.txt").read_text() == "person\n"
    expected = ["workspace-entered", "session-parked", "question-withdrawn", "workspace-left", "session-unparked"]
    assert [kind for kind in kinds if kind in expected] == expected
    assert kinds.count("session-started") == 2


async def test_a_parked_conversation_can_be_taken_over_too(tmp_path: Path, people: list[Visitor]) -> None:
    repository = make_repository(tmp_path / "repo")
    async with heddle(tmp_path, repository, scenes(), "[limits]\npark_s = 1\n") as fleet:
        id = await executing(fleet)
        await fleet.until_kind(id, "session-parked")
        visitor = Visitor((await fleet.call("session.attach", task=id))["argv"])
        people.append(visitor)
        await asyncio.to_thread(visitor.see, "rehearsal, session rehearsal-")
        await asyncio.to_thread(said, visitor, "write b.txt person", "wrote b.txt")
        visitor.hang_up()  # the window is closed: that is a way to leave, too
        assert (await fleet.until(id))[0]["status"] == "landed"
    assert (repository / "b.txt").read_text() == "person\n"


async def test_whoever_takes_over_keeps_the_session_when_the_daemon_goes(tmp_path: Path, people: list[Visitor]) -> None:
    repository = make_repository(tmp_path / "repo")
    async with heddle(tmp_path, repository, scenes(), leave=True) as fleet:
        id = await executing(fleet)
        visitor = Visitor((await fleet.call("session.attach", task=id))["argv"])
        people.append(visitor)
        await asyncio.to_thread(visitor.see, "rehearsal, session rehearsal-")
    await asyncio.to_thread(said, visitor, "write b.txt person", "wrote b.txt")
    async with heddle(tmp_path, repository, scenes()) as fleet:
        shown = await fleet.call("task.show", task=id)
        assert shown["status"] == "waiting"
        await asyncio.to_thread(said, visitor, "run cat b.txt", "person")
        visitor.type("quit\r")
        assert (await fleet.until(id))[0]["status"] == "landed"
    assert (repository / "b.txt").read_text() == "person\n"


async def test_what_cannot_be_taken_over_says_why(tmp_path: Path) -> None:
    repository = make_repository(tmp_path / "repo")
    write_agent(tmp_path, "blind", "")
    async with heddle(tmp_path, repository, [*scenes(), *writes("b.txt")]) as fleet:
        assert (await refusal(fleet, "T9")).slug == "no-such-task"
        waiting = await fleet.start("write b")
        await fleet.until_kind(waiting, "plan-delivered")
        error = await refusal(fleet, waiting)
        assert isinstance(error, Refused) and error.slug == "nothing-to-attach"
        blind = await executing(fleet, agent="blind")
        error = await refusal(fleet, blind)
        assert (error.slug, error.hint) == ("no-terminal", f"work beside it: heddle shell {blind}")
        assert "session-parked" not in await fleet.kinds(blind)
