"""The listeners of sessions: made many at once, they disturb nothing else that is made meanwhile, and keep their names."""

import asyncio
import os
import stat
import threading
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from heddle.core.errors import MACHINE, OutsideError
from heddle.server.mcp.listening import Listeners


def listeners(folder: Path) -> Listeners:
    """Listeners as a daemon has them after its start."""
    desk: Any = SimpleNamespace(version="1")
    return Listeners(folder / "home", Path(os.environ["HEDDLE_RUNTIME_DIR"]), desk)


async def test_what_others_make_meanwhile_has_the_modes_that_it_should(tmp_path: Path) -> None:
    """A umask holds for the whole process: a workspace that was made under ours could not be entered."""
    (tmp_path / "home").mkdir()
    ours, over, wrong = listeners(tmp_path), threading.Event(), list[str]()

    def make() -> None:
        number = 0
        while not over.is_set():
            (path := tmp_path / f"made-{number}").mkdir()
            if stat.S_IMODE(path.stat().st_mode) & 0o700 != 0o700:
                wrong.append(path.name)
            number += 1

    maker = threading.Thread(target=make)
    maker.start()
    try:
        openings = await asyncio.gather(*(ours.open("T1", f"T1-1-execute-1.{n}") for n in range(40)))
    finally:
        over.set()
        maker.join()
        await ours.close_all()
    assert wrong == []
    assert len({opening.socket for opening in openings}) == len({opening.token for opening in openings}) == 40


async def test_what_keeps_tools_from_being_served_is_the_machines_lack_and_no_attempts_fault(tmp_path: Path) -> None:
    (tmp_path / "home").mkdir()
    ours = listeners(tmp_path)
    ours.runtime = tmp_path / ("long" * 40)
    with pytest.raises(OutsideError) as caught:
        await ours.open("T1", "s")
    assert caught.value.slug in MACHINE and "AF_UNIX path too long" in caught.value.message


async def test_a_session_finds_its_tools_where_they_were_after_a_restart_of_the_daemon(tmp_path: Path) -> None:
    (tmp_path / "home").mkdir()
    before, after = listeners(tmp_path), listeners(tmp_path)
    opening = await before.open("T1", "s")
    assert await before.open("T1", "s") == opening
    mode = stat.S_IMODE(os.stat(opening.socket).st_mode) | stat.S_IMODE(
        (tmp_path / "home" / "tools.key").stat().st_mode
    )
    assert mode == 0o600
    assert await after.open("T1", "s") == opening  # the first one was killed: nobody took its socket away
    await after.close_all()
    assert not os.path.exists(opening.socket)
    other = Listeners(tmp_path / "other", before.runtime, cast("Any", before.desk))
    (tmp_path / "other").mkdir()
    assert (await other.open("T1", "s")).token != opening.token
    await other.close_all()
    await before.close_all()
