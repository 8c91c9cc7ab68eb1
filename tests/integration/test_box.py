"""What a box shows, what it withholds, and how it ends."""

import asyncio
import json
import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import suppress
from pathlib import Path

import pytest
import pytest_asyncio

from heddle.adapters.sandbox import policy, zygote
from heddle.adapters.sandbox.box import Box
from heddle.core.errors import OutsideError, Refused
from heddle.core.session import Send
from heddle.ports import Command, Mount
from support.boxes import Bench
from support.evaders import EVADERS, evader, has_begun
from support.previews import request, serves
from support.yard import heard

pytestmark = [pytest.mark.asyncio, pytest.mark.needs("boxes")]

DEADLINE_S = 20.0


@pytest.fixture
def runtime() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="hb-") as folder:
        path = Path(folder) / "r"
        path.mkdir(mode=0o700)
        yield path


@pytest_asyncio.fixture
async def bench(tmp_path: Path, runtime: Path) -> AsyncIterator[Bench]:
    made = Bench(tmp_path, runtime)
    yield made
    await made.close()


@pytest.fixture
def box(bench: Bench) -> Box:
    return bench.open()


async def until(holds: object, what: str) -> None:
    """Wait until `holds()` is true."""
    assert callable(holds)
    async with asyncio.timeout(DEADLINE_S):
        while not holds():
            await asyncio.sleep(0.01)
    assert holds(), what


async def test_the_tree_is_the_layer_and_what_is_written_stays_apart(bench: Bench, box: Box) -> None:
    said = await bench.run(box, "cat a.txt; ls; echo new > b.txt; echo changed > a.txt; rm -rf .git; ls -A")
    assert said.splitlines() == ["from the layer", "a.txt", "a.txt", "b.txt"]
    assert (bench.layer / "a.txt").read_text() == "from the layer\n"
    assert sorted(os.listdir(bench.checkout)) == ["mine.txt"]
    assert (bench.upper() / "b.txt").read_text() == "new\n"


async def test_nothing_of_the_persons_home_is_there(bench: Bench, box: Box) -> None:
    said = await bench.run(box, "cat ~/.ssh/id_ed25519 mine.txt 2>&1 || true; ls -A ~; env")
    assert "PRIVATE KEY" not in said
    assert "the person's own" not in said
    assert "hunter2" not in said
    assert "code\n" in said, "only the way to the tree lies below HOME"


async def test_the_system_can_be_read_and_not_written(bench: Bench, box: Box) -> None:
    for place in ("/", "/usr", "/etc", "/dev"):
        said = await bench.run(box, f"touch {place}/x 2>&1 || echo refused")
        assert said.endswith("refused\n"), place
    assert await bench.run(box, "cat /etc/shadow 2>&1 || echo refused") != ""
    assert "root:" not in await bench.run(box, "cat /etc/shadow /etc/sudoers 2>/dev/null || true")


async def test_no_right_is_left(bench: Bench, box: Box) -> None:
    told = dict(line.split(":\t") for line in (await bench.run(box, "cat /proc/self/status")).splitlines())
    assert {name: int(told[name], 16) for name in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb")} == dict.fromkeys(
        ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"), 0
    )
    assert (told["NoNewPrivs"], told["Seccomp"]) == ("1", "2")
    refused = "unshare -U true || unshare -m true || mount -t tmpfs none /tmp || echo refused"
    assert (await bench.run(box, f"({refused}) 2>/dev/null")).strip() == "refused"


async def test_each_session_has_its_own_loopback_processes_and_tmp(bench: Bench, box: Box) -> None:
    serve = "python3 -c 'import socket; s = socket.create_server((\"127.0.0.1\", 3000)); print(1, flush=True); input()'"
    for key in ("t1", "t2"):
        held = await box.start_in(bench.view(key), bench.command(f"{key}.serve", f"touch /tmp/{key}; {serve}"))
        async for chunk in held.output():
            assert chunk.data == b"1\n", held.load_errors()
            break
    said = await bench.run(box, "cd /tmp; ls -d t?; ps -eo args | grep -c 300[0]", view=bench.view("t2"))
    assert said.split() == ["t2", "2"], "the shell and the server of this session alone"


async def test_a_throw_away_layer_outlives_nothing(bench: Bench, box: Box) -> None:
    extra = bench.folder / "extra"
    (extra / "sub").mkdir(parents=True)
    (extra / "sub" / "kept.txt").write_text("kept\n")
    view = bench.view("t1", Mount("overlay", "/heddle/extra", lower=(str(extra),)))
    said = await bench.run(box, "rm -rf /heddle/extra/sub; mkdir /heddle/extra/sub; ls -A /heddle/extra/sub", view=view)
    assert said == ""
    await box.close_box("t1")
    assert await bench.run(box, "cat /heddle/extra/sub/kept.txt", view=view) == "kept\n"


async def test_work_goes_on_in_a_box_made_again_over_the_same_layer(bench: Bench, box: Box) -> None:
    await bench.run(box, "echo kept > b.txt; rm a.txt")
    await box.close_box("t1")
    assert await bench.run(bench.open(), "cat b.txt; ls") == "kept\nb.txt\n"


async def test_a_link_in_a_layer_leads_no_mount_astray(bench: Bench, box: Box) -> None:
    victim = bench.folder / "victim"
    victim.mkdir()
    (bench.layer / "inner").symlink_to(victim)
    view = bench.view("t1", Mount("empty", f"{bench.checkout}/inner/deep"))
    with pytest.raises(Refused, match="link is in the way|Not a directory"):
        await bench.run(box, "true", view=view)
    assert os.listdir(victim) == []


async def test_no_layer_is_mounted_twice(bench: Bench, box: Box) -> None:
    await bench.run(box, "true")
    view = bench.view("t1")
    twin = type(view)("other-key", view.mounts, view.home, view.lock)
    with pytest.raises(Refused, match="another box works in the same folder"):
        await bench.run(box, "true", view=twin)


async def test_d2_what_cannot_be_enclosed_does_not_start(bench: Bench, box: Box) -> None:
    """A box that lacks one of its places is no box: nothing runs."""
    view = bench.view("t1", Mount("read", "/heddle/objects", source=str(bench.folder / "missing")))
    with pytest.raises(Refused) as caught:
        await box.start_in(view, bench.command("c", f"touch {bench.folder}/ran"))
    assert caught.value.slug == "sandbox-unavailable"
    assert "missing" in caught.value.message
    assert not (bench.folder / "ran").exists()
    assert await box.find("c") is None


async def test_nothing_is_started_outside_of_a_box(bench: Bench, box: Box) -> None:
    with pytest.raises(Refused, match="no view"):
        await box.start(bench.command("c", "true"))


async def test_a_program_that_is_not_there_is_told(bench: Bench, box: Box) -> None:
    command = bench.command("c", "")
    held = await box.start_in(bench.view(), type(command)("c", ("no-such-program",), str(bench.checkout)))
    ended = await held.exit()
    assert (ended.why, ended.ok) == ("start-failed", False)
    assert "no-such-program" in ended.detail


HIDING = """
(setsid sh -c 'trap "" TERM HUP; touch /heddle/out/deep; while :; do sleep 1; done' &) &
trap '' TERM
echo ready
while :; do sleep 1; done
"""


def living(bench: Bench) -> list[int]:
    """Processes of this machine whose environment names the test's HOME and a session."""
    found = []
    for path in Path("/proc").glob("[0-9]*/environ"):
        try:
            words = path.read_bytes()
        except OSError:
            continue
        if b"HEDDLE_SESSION=" in words and os.fsencode(bench.home) in words:
            found.append(int(path.parent.name))
    return found


async def test_d4_after_a_stop_nothing_of_it_is_left(bench: Bench, box: Box) -> None:
    held = await box.start_in(bench.view(), bench.command("c", HIDING))
    async for _ in held.output():
        break
    await until((bench.folder / "workspaces/t1/out/deep").exists, "the hidden one runs")
    await held.stop(0.05)
    assert living(bench) == []
    assert await bench.run(box, "echo here") == "here\n", "the box itself goes on"


async def test_d4_closing_a_box_ends_all_in_it_with_its_mounts(bench: Bench, box: Box) -> None:
    held = await box.start_in(bench.view(), bench.command("c", HIDING))
    async for _ in held.output():
        break
    await box.close_box("t1")
    assert not (await held.exit()).ok
    assert living(bench) == []
    assert str(bench.folder) not in Path("/proc/self/mountinfo").read_text()
    shutil.rmtree(bench.folder / "workspaces/t1/upper")
    assert list(bench.runtime.glob("*.i")) == []


@pytest.mark.parametrize("kind", EVADERS)
async def test_what_evades_being_frozen_is_frozen_in_a_box_while_others_go_on(
    bench: Bench, box: Box, kind: str
) -> None:
    program = ("python3", "-I", "-S", "-c", evader(kind))
    held = await box.start_in(bench.view(), Command(kind, program, str(bench.checkout)))
    other = await box.start_in(bench.view(), bench.command("other", "while :; do echo x >> other; sleep 0.01; done"))
    await until(lambda: has_begun(bench.upper(), kind) and (bench.upper() / "other").exists(), "both are busy")
    assert await held.freeze()
    beats, others = (bench.upper() / name for name in ("beats", "other"))
    before, further = beats.stat().st_size, others.stat().st_size + 50
    await until(lambda: others.stat().st_size > further, "the other goes on")
    assert beats.stat().st_size == before
    assert (await bench.run(box, "wc -c < beats")).strip() == str(before), "the box can still be asked"
    if kind != "vfork":
        await held.thaw()
        await until(lambda: beats.stat().st_size > before, "it goes on")
        assert await held.freeze()
    await held.stop(60)
    await other.stop(0)
    assert living(bench) == []


async def test_a_fork_bomb_is_frozen_and_ended_and_its_box_outlives_it(bench: Bench, box: Box) -> None:
    program = ("python3", "-I", "-S", "-c", evader("bomb"))
    held = await box.start_in(bench.view(), Command("bomb", program, str(bench.checkout)))
    await until(lambda: len(living(bench)) > 200, "it has grown")
    assert await held.freeze()
    before = (bench.upper() / "beats").stat().st_size
    with suppress(OutsideError):  # perhaps it took all the processes that there may be
        await bench.run(box, "true")
    assert await box.of("t1/box-1").lives()
    assert (bench.upper() / "beats").stat().st_size == before
    await held.stop(60)
    assert living(bench) == []
    assert await bench.run(box, "echo here") == "here\n"


async def test_a_box_of_before_goes_on_when_it_is_asked_to_freeze(
    bench: Bench, box: Box, monkeypatch: pytest.MonkeyPatch
) -> None:
    old = "import sys\nsys.path.append(sys.argv[2])\nfrom heddle.holder.box import minder\nknown = minder.tell\n"
    old += (
        "def tell(connection, message, *more):\n    message.pop('freezes', 0)\n    known(connection, message, *more)\n"
    )
    monkeypatch.setattr(zygote, "ENTRY", old + "minder.tell = tell\n" + zygote.ENTRY)
    held = await box.start_in(bench.view(), bench.command("c", "read line; echo got $line"))
    assert not await held.freeze()
    await held.thaw()
    assert await held.send(Send("1", b"this\n"))
    assert (await held.exit()).ok


async def test_no_process_lives_without_its_holder(bench: Bench, box: Box) -> None:
    held = await box.start_in(bench.view(), bench.command("c", HIDING))
    async for _ in held.output():
        break
    started = held.folder.load(held.folder.started)
    assert started is not None
    os.kill(started["holder"], signal.SIGKILL)
    assert (await held.exit()).why == "holder-lost"
    await until(lambda: living(bench) == [], "all of it has ended")


async def test_a_box_whose_holder_is_killed_ends_and_is_made_again(bench: Bench, box: Box) -> None:
    held = await box.start_in(bench.view(), bench.command("c", HIDING))
    async for _ in held.output():
        break
    of_box = box.of("t1/box-1").folder
    started = of_box.load(of_box.started)
    assert started is not None
    os.kill(started["holder"], signal.SIGKILL)
    ended = await held.exit()
    assert (ended.ok, ended.signal) == (False, signal.SIGKILL)
    assert living(bench) == []
    assert await bench.run(box, "echo again") == "again\n"


async def test_a_session_that_kills_its_minder_ends_with_all_it_left(bench: Bench, box: Box) -> None:
    killing = "(setsid sleep 300 &) ; for p in $(ps -eo pid=); do [ $p != $$ ] && kill -9 $p; done; sleep 300"
    held = await box.start_in(bench.view(), bench.command("c", killing))
    assert not (await held.exit()).ok
    await until(lambda: living(bench) == [], "nothing goes on unheld")


async def test_messages_reach_a_process_inside_and_its_status_comes_out(bench: Bench, box: Box) -> None:
    held = await box.start_in(bench.view(), bench.command("c", "read line; echo got $line; kill -TERM $$"))
    assert await held.send(Send("1", b"this\n"))
    ended = await held.exit()
    assert (held.load_output(), ended.signal) == (b"got this\n", signal.SIGTERM)


async def test_a_bridge_is_the_command_inside(bench: Bench, box: Box) -> None:
    bridge = await box.bridge(bench.view())
    argv = [*bridge, "sh", "-c", f"cd '{bench.checkout}'; cat a.txt -; exit 7"]
    done = await asyncio.to_thread(subprocess.run, argv, input=b"in\n", capture_output=True, check=False)
    assert (done.returncode, done.stdout) == (7, b"from the layer\nin\n"), done.stderr


async def test_what_a_short_command_writes_is_bounded(bench: Bench, box: Box) -> None:
    with pytest.raises(OutsideError) as caught:
        await box.run_in(bench.view(), ("sh", "-c", "yes; exec sleep 300"), limit=100_000)
    assert caught.value.slug == "output-limit"
    await until(lambda: living(bench) == [], "it was ended")


async def test_what_a_short_command_leaves_holds_nobody_up(bench: Bench, box: Box) -> None:
    async with asyncio.timeout(DEADLINE_S):
        ran = await box.run_in(bench.view(), ("sh", "-c", "(trap '' HUP TERM PIPE; exec setsid sleep 300) & echo done"))
    assert ran.out == b"done\n"
    await until(lambda: living(bench) == [], "it was ended")


async def test_fifty_boxes_work_side_by_side(bench: Bench, box: Box) -> None:
    views = [bench.view(f"t{number}") for number in range(50)]
    said = await asyncio.gather(*(bench.run(box, "echo x > x; ls", view=view) for view in views))
    assert set(said) == {"a.txt\nx\n"}


async def test_tools_below_home_are_shown_and_secrets_are_not(bench: Bench, tmp_path: Path) -> None:
    """An agent in ~/.local/bin, its real place, and a virtual environment whose interpreter lies below HOME."""
    home = bench.home
    agent = home / ".local/share/agent/versions/1.0/agent"
    python = home / ".pythons/3/bin"
    venv = home / "venvs/tool"
    for folder in (agent.parent, python, venv / "bin", home / ".local/bin", home / ".config"):
        folder.mkdir(parents=True)
    agent.write_text("#!/bin/sh\necho the agent\n")
    agent.chmod(0o755)
    (home / ".local/bin/agent").symlink_to(agent)
    (home / ".local/bin/leak").symlink_to(home / ".ssh/id_ed25519")
    (venv / "pyvenv.cfg").write_text(f"home = {python}\n")
    path = f"{home}/.local/bin:{venv}/bin:{os.environ['PATH']}"
    shown = policy.tools({"HOME": str(home), "PATH": path})
    assert {str(home / ".local/bin"), str(agent.parent), str(venv), str(python.parent)} <= set(shown)
    assert not any(".ssh" in path or ".config" in path for path in shown)
    boxes = Box(bench.folder / "held", bench.runtime, {**bench.environment, "PATH": path})
    bench.boxes.append(boxes)
    assert await bench.run(boxes, "agent; cat ~/.local/bin/leak 2>/dev/null || echo no") == "the agent\nno\n"


async def test_what_ended_long_ago_is_pruned_and_boxes_are_forgotten_together(bench: Bench, box: Box) -> None:
    for key in ("gone", "again", "living"):
        await bench.run(box, "true", view=bench.view(key))
    await box.close_box("gone")
    await box.close_box("again")
    await bench.run(box, "true", view=bench.view("again"))  # its second box
    assert await box.prune(time.time() - 60) == 0
    assert await box.prune(time.time() + 60) == 1
    left = {json.loads(path.read_bytes())["key"] for path in (bench.folder / "held").glob("*/spec.json")}
    assert left == {"again/box-1", "again/box-2", "living/box-1"}
    assert await bench.run(bench.open(), "echo here", view=bench.view("again")) == "here\n"


async def started(bench: Bench, box: Box, argv: tuple[str, ...], view: str = "t1") -> None:
    """A program in a box that has said that it is ready."""
    held = await box.start_in(bench.view(view), Command(f"{view}-server", argv, str(bench.checkout)))
    await heard(held, b"serving")


async def served(box: Box, bench: Bench, port: int, view: str = "t1") -> bytes:
    reader, writer = await box.dial(bench.view(view), port)
    writer.write(request("GET / HTTP/1.0", "Host: here"))
    answer = await reader.read()
    writer.close()
    return answer


async def test_each_box_is_dialled_on_a_loopback_of_its_own(bench: Bench, box: Box) -> None:
    await started(bench, box, serves(3000, "first"), "t1")
    await started(bench, box, serves(3000, "second", "::1"), "t2")
    assert b"first heard" in await served(box, bench, 3000, "t1")
    assert b"second heard" in await served(box, bench, 3000, "t2")
    with pytest.raises(OutsideError, match="refused") as caught:
        await box.dial(bench.view("t1"), 3001)
    assert caught.value.slug == "nobody-listens"


TARPIT = """
import socket, time
tarpit = socket.create_server(("127.0.0.1", 3000), backlog=0)
own = [socket.socket() for _ in range(8)]
for one in own:
    one.setblocking(False)
    one.connect_ex(("127.0.0.1", 3000))
print("serving", flush=True)
time.sleep(1000)
"""
"""A server at which every connection waits for ever."""


async def test_a_server_that_lets_one_wait_is_not_waited_for(bench: Bench, box: Box) -> None:
    await started(bench, box, ("python3", "-c", TARPIT))
    dials = [asyncio.create_task(box.dial(bench.view(), 3000)) for _ in range(40)]
    begun = time.monotonic()
    assert await asyncio.to_thread(lambda: True)  # no thread that others need waits with it
    assert time.monotonic() - begun < 1.0
    for failure in await asyncio.gather(*dials, return_exceptions=True):
        assert isinstance(failure, OutsideError) and "timed out" in failure.message, failure
