"""What every sandbox keeps for a view whose places are all where the host has them. One joins by a line in BOXES."""

import asyncio
import os
import signal
import socket
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import pytest_asyncio

from heddle.adapters.sandbox.box import Box
from heddle.adapters.sandbox.none import Unconfined
from heddle.core.errors import OutsideError
from heddle.ports import Command, Held, Mount, View
from support.previews import request, serves

pytestmark = pytest.mark.asyncio

BOXES: dict[str, type[Unconfined] | type[Box]] = {"none": Unconfined, "box": Box}


@dataclass
class Ground:
    """Two sessions' folders, and sandboxes of one kind opened again and again as after restarts of the daemon."""

    kind: str
    path: Path
    opened: list[Unconfined | Box] = field(default_factory=list)

    def open(self) -> Unconfined | Box:
        runtime = Path(os.environ["HEDDLE_RUNTIME_DIR"])
        self.opened.append(BOXES[self.kind](self.path / "held", runtime, {**os.environ, "HOME": str(self.path)}))
        return self.opened[-1]

    def view(self, key: str = "t1") -> View:
        own = self.path / key
        for name in ("tree", "home", "shown"):
            (own / name).mkdir(parents=True, exist_ok=True)
        mounts = (
            Mount("write", str(own / "tree"), source=str(own / "tree")),
            Mount("read", str(own / "shown"), source=str(own / "shown")),
            Mount("read", str(own / "absent"), source=str(own / "absent"), optional=True),
        )
        return View(key, mounts, str(own / "home"), str(own / "lock"))

    def command(self, key: str, script: str, view: str = "t1") -> Command:
        return Command(key, ("sh", "-ec", script), str(self.path / view / "tree"), stdin="pipe")


@pytest_asyncio.fixture(params=sorted(BOXES))
async def ground(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Ground]:
    made = Ground(request.param, tmp_path)
    yield made
    for sandbox in made.opened:
        for key in ("t1", "t2"):
            await sandbox.close_box(key)
        await sandbox.close()


async def heard(held: Held) -> bytes:
    """The first thing it says."""
    async for chunk in held.output():
        return chunk.data
    raise AssertionError(held.load_errors())


def alive(pid: int) -> bool:
    stat = Path(f"/proc/{pid}/stat")
    return stat.exists() and stat.read_text().rpartition(")")[2].split()[0] != "Z"


async def test_what_is_written_is_where_it_was_written(ground: Ground) -> None:
    sandbox, view = ground.open(), ground.view()
    (ground.path / "t1" / "shown" / "given").write_text("given\n")
    held = await sandbox.start_in(view, ground.command("k", "cat ../shown/given; pwd; echo mine > file"))
    assert (await held.exit()).ok, held.load_errors()
    assert held.load_output().decode() == f"given\n{ground.path}/t1/tree\n"
    assert (ground.path / "t1" / "tree" / "file").read_text() == "mine\n"
    ran = await sandbox.run_in(view, ("cat", f"{ground.path}/t1/tree/file"))
    assert (ran.status, ran.out, ran.err) == (0, b"mine\n", b"")


async def test_a_short_command_is_fed_and_heard_to_its_end(ground: Ground) -> None:
    sandbox, view = ground.open(), ground.view()
    ran = await sandbox.run_in(view, ("sh", "-c", "wc -c; echo told >&2; exit 7"), stdin=b"x" * 1_000_000)
    assert (ran.status, ran.out.strip(), ran.err) == (7, b"1000000", b"told\n")
    ran = await sandbox.run_in(view, ("sh", "-c", "kill -9 $$"), stdin=b"nobody reads this")
    assert ran.status == -signal.SIGKILL


async def test_more_than_the_limit_is_an_error_and_ends_the_command(ground: Ground) -> None:
    sandbox, view = ground.open(), ground.view()
    pid = ground.path / "t1" / "tree" / "pid"
    script = f"echo $$ > {pid}; exec yes >&2"
    with pytest.raises(OutsideError) as caught:
        await sandbox.run_in(view, ("sh", "-c", script), limit=100_000)
    assert caught.value.slug == "output-limit"
    if ground.kind != "box":  # whose numbers are its own
        assert not alive(int(pid.read_text()))


async def test_whoever_writes_without_end_is_never_waited_for_without_end(ground: Ground) -> None:
    sandbox, view = ground.open(), ground.view()
    for number in range(12):
        flood = sandbox.run_in(view, ("sh", "-c", "echo up; exec yes >&2"), limit=100_000 + number)
        asking = asyncio.create_task(flood)
        async with asyncio.timeout(30):
            if number % 2:
                await asyncio.sleep(0)
                asking.cancel()
            with suppress(asyncio.CancelledError, OutsideError):
                await asking


DAEMON = """
import asyncio, os, sys
from pathlib import Path
from heddle.adapters.sandbox.{module} import {name}
from heddle.ports import Mount, View
tree = {tree!r}
view = View("t1", (Mount("write", tree, source=tree),), tree, tree + ".lock")
sandbox = {name}(Path({held!r}), Path(os.environ["HEDDLE_RUNTIME_DIR"]), os.environ)
asyncio.run(sandbox.run_in(view, ("sh", "-c", f"touch {{tree}}/up; exec python3 -c 'import time; time.sleep(300)' {{tree}}")))
"""


async def test_a_short_command_dies_with_the_daemon(ground: Ground) -> None:
    tree = ground.path / "t1" / "tree"
    ground.view()
    kind = BOXES[ground.kind]
    told = {"module": ground.kind, "name": kind.__name__, "tree": str(tree), "held": str(ground.path / "held")}
    path = {"PYTHONPATH": os.pathsep.join(sys.path)}
    daemon = subprocess.Popen((sys.executable, "-c", DAEMON.format(**told)), env=os.environ | path)
    async with asyncio.timeout(30):
        while not (tree / "up").exists():
            await asyncio.sleep(0.01)
    daemon.kill()
    daemon.wait()
    async with asyncio.timeout(30):
        while subprocess.run(("pgrep", "-f", f"sleep.300. {tree}"), capture_output=True, check=False).returncode == 0:
            await asyncio.sleep(0.01)
    await ground.open().close_box("t1")


async def test_a_bridge_leads_a_program_of_the_host_inside(ground: Ground) -> None:
    sandbox, view = ground.open(), ground.view()
    argv = (
        *await sandbox.bridge(view),
        "sh",
        "-c",
        f"cat > {ground.path}/t1/tree/file; echo out; echo err >&2; exit 3",
    )
    done = await asyncio.to_thread(subprocess.run, argv, input=b"in\0\xff", capture_output=True)
    assert (done.returncode, done.stdout, done.stderr) == (3, b"out\n", b"err\n")
    assert (ground.path / "t1" / "tree" / "file").read_bytes() == b"in\0\xff"


async def test_a_key_is_started_once_and_found_again(ground: Ground) -> None:
    view, command = ground.view(), ground.command("once", "echo run >> ran; echo up; cat")
    first = ground.open()
    assert await heard(await first.start_in(view, command)) == b"up\n"
    again = await ground.open().start_in(view, command)
    await again.close_input()
    assert (await again.exit()).ok
    assert (ground.path / "t1" / "tree" / "ran").read_text() == "run\n"


async def test_closing_ends_all_that_was_started_in_the_view_and_nothing_else(ground: Ground) -> None:
    sandbox = ground.open()
    views = {key: ground.view(key) for key in ("t1", "t2")}
    helds = {}
    for key in ("t1.a", "t1.b", "t2.a"):
        script = "setsid sh -c 'exec sleep 300' </dev/null >/dev/null 2>&1 & echo up; cat"
        helds[key] = await sandbox.start_in(views[key[:2]], ground.command(key, script, key[:2]))
        assert await heard(helds[key]) == b"up\n"
    await ground.open().close_box("t1")
    async with asyncio.timeout(30):
        ended = [await helds[key].exit() for key in ("t1.a", "t1.b")]
    assert not any(one.ok for one in ended)
    assert helds["t2.a"].ended() is None
    await sandbox.close_box("t1")
    await sandbox.close_box("never made")
    assert await heard(await sandbox.start_in(views["t1"], ground.command("t1.c", "echo up"))) == b"up\n"


async def test_home_is_the_sessions_own_wherever_there_is_a_sandbox(ground: Ground) -> None:
    sandbox, view = ground.open(), ground.view()
    (ground.path / "mine").write_text("the person's\n")
    ran = await sandbox.run_in(view, ("sh", "-c", 'echo x > "$HOME/left"; ls -A "$HOME"'))
    if sandbox.tier == 0:
        assert b"mine" in ran.out
        assert os.listdir(view.home) == []
    else:
        assert b"left" in ran.out
        assert b"mine" not in ran.out
        assert (Path(view.home) / "left").exists()
        assert not (ground.path / "left").exists()


async def test_a_server_inside_is_dialled_where_it_listens(ground: Ground) -> None:
    sandbox, view = ground.open(), ground.view()
    with socket.socket() as spare:
        spare.bind(("127.0.0.1", 0))
        port = spare.getsockname()[1]
    with pytest.raises(OutsideError) as caught:
        await sandbox.dial(view, port)
    assert caught.value.slug == "nobody-listens" and caught.value.hint
    command = Command("server", serves(port), str(ground.path / "t1" / "tree"))
    assert await heard(await sandbox.start_in(view, command)) == b"serving\n"
    again = ground.open()
    reader, writer = await again.dial(view, port)
    writer.write(request("GET /x HTTP/1.0", "Host: here"))
    assert (await reader.read()).endswith(b"page heard GET /x of here")
    writer.close()
    await sandbox.close_box("t1")
    with pytest.raises(OutsideError) as caught:
        await again.dial(view, port)
    assert caught.value.slug == "nobody-listens"


async def test_what_nobody_works_in_ends_when_it_is_let_go_and_nothing_else(ground: Ground) -> None:
    sandbox = ground.open()
    held = await sandbox.start_in(ground.view("t1"), ground.command("k1", "echo up; exec cat"))
    await sandbox.run_in(ground.view("t2"), ("true",))
    made = await sandbox.live(boxes=True)
    await sandbox.close_idle()
    left = await ground.open().live(boxes=True)
    assert left == tuple(key for key in made if key.startswith("t1/"))
    assert len(made) == 2 * len(left)
    assert await held.lives()
    assert (await sandbox.run_in(ground.view("t2"), ("true",))).status == 0
    await held.stop(0)
