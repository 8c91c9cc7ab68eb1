"""A person looks at what an agent's server shows: from the command line's method to a page and a WebSocket."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from heddle.core.errors import HeddleError, Refused, SetupError, UserError
from support.fleet import Heddle, heddle, make_repository, writes
from support.previews import echoed, got, port_of, sent, serves, status, websocket

ON = "[preview]\nenabled = true\n"
TIERS = pytest.mark.parametrize(
    "tier", [pytest.param("0"), pytest.param("1"), pytest.param("2", marks=pytest.mark.needs("boxes"))]
)


def config(tier: str = "2") -> str:
    return f'[sandbox]\ntier = "{tier}"\n{ON}'


def asking(name: str = "b.txt", **more: Any) -> list[dict[str, Any]]:
    """A task whose session lives until somebody answers."""
    scenes = writes(name, **more)
    scenes[2]["steps"].insert(1, {"do": "ask", "text": "go on?", "options": ["yes"], "default": "yes"})
    return scenes


async def executing(fleet: Heddle, name: str = "b.txt") -> str:
    id = await fleet.start(f"write {name}", lane="quick", scope=[name], checks=[f"test -s {name}"])
    await fleet.until_kind(id, "question-asked")
    return id


@asynccontextmanager
async def serving(fleet: Heddle, task: str, name: str, port: int = 3000) -> AsyncIterator[None]:
    """A server in a task's workspace, as a person inside would start it."""
    argv = serves(port, name)
    told = await fleet.call("workspace.enter", task=task, command=list(argv))
    pipe = asyncio.subprocess.PIPE
    visit = await asyncio.create_subprocess_exec(*told["argv"], stdin=pipe, stdout=pipe)
    assert visit.stdout is not None
    try:
        async with asyncio.timeout(30):
            assert await visit.stdout.readline() == b"serving\n"
        yield
    finally:
        if visit.returncode is None:
            visit.kill()
        await visit.wait()


async def refusal(fleet: Heddle, method: str = "preview.open", **params: Any) -> HeddleError:
    with pytest.raises(HeddleError) as caught:
        await fleet.call(method, **params)
    assert caught.value.hint
    return caught.value


async def leased(fleet: Heddle, task: str, tier: str) -> int:
    """Where a server of the session may listen."""
    if tier == "2":
        return 3000
    run = fleet.house.desk.require(task)
    found = await (await fleet.house.desk.site(run)).workspaces.find(run.workspaces[-1].workspace)
    assert found is not None
    return (found.ports() or range(3000, 3001))[0]


@TIERS
async def test_a_server_in_a_session_is_seen_at_an_address_of_the_tasks_own(tmp_path: Path, tier: str) -> None:
    repository = make_repository(tmp_path / "repo")
    async with heddle(tmp_path, repository, asking(), config(tier)) as fleet:
        id = await executing(fleet)
        told = await fleet.call("preview.open", task=id)
        port = await leased(fleet, id, tier)
        assert (told["task"], told["stage"], told["port"], told["listening"]) == (id, "execute", port, False)
        url = told["url"]
        assert url == f"http://{id.lower()}.localhost:{port_of(url)}/"
        early = await got(url)
        assert status(early) == 502 and f"nobody answers on port {port}".encode() in early
        async with serving(fleet, id, "mine", port):
            host = url.removeprefix("http://").rstrip("/")
            assert (await got(url, "/x?y")).endswith(f"mine heard GET /x?y of {host}".encode())
            assert (await got(url, "/", method="POST", body=b"abc" * 9999)).endswith(b": " + b"abc" * 9999)
            async with websocket(url, f"Origin: http://{host}") as (reader, writer, answer):
                assert status(answer) == 101
                assert [await echoed(reader, writer, text) for text in (b"one", b"two")] == [b"one", b"two"]
            again = await fleet.call("preview.open", task=id)
            assert (again["listening"], again["url"]) == (True, url)
        await fleet.until(id)
        await fleet.until_tidy(id)
        with pytest.raises(ConnectionError):  # it went with the workspace
            async with asyncio.timeout(20):
                while True:
                    await got(url)


@pytest.mark.needs("boxes")
async def test_each_task_shows_its_own_port_3000_and_ends_when_it_is_told_to(tmp_path: Path) -> None:
    repository = make_repository(tmp_path / "repo")
    scenes = [*asking("b.txt", task="b.txt"), *asking("c.txt", task="c.txt")]
    async with heddle(tmp_path, repository, scenes, config()) as fleet:
        first, second = await executing(fleet, "b.txt"), await executing(fleet, "c.txt")
        async with serving(fleet, first, "first"), serving(fleet, second, "second"):
            urls = [(await fleet.call("preview.open", task=task))["url"] for task in (first, second)]
            for url, name in zip(urls, (b"first", b"second"), strict=True):
                assert name + b" heard GET / of" in await got(url)
            assert port_of(urls[0]) == port_of(urls[1])
            ended = await fleet.call("preview.stop", task=first)
            assert ended["url"] == urls[0]
            assert status(await got(urls[0])) == 421
            assert status(await got(urls[1])) == 200
            assert (await refusal(fleet, "preview.stop", task=first)).slug == "no-preview"
            await fleet.house.desk.previews.close()  # as with the daemon
            with pytest.raises(ConnectionRefusedError):
                await sent(port_of(urls[1]), b"")


async def test_off_is_the_default_and_the_error_says_how_to_switch_it_on(tmp_path: Path) -> None:
    repository = make_repository(tmp_path / "repo", {"heddle.toml": f"{ON}port = 8080\n", "a": "a\n"})
    async with heddle(tmp_path, repository, asking(), '[sandbox]\ntier = "0"\n') as fleet:
        error = await refusal(fleet, task="T1")
        assert isinstance(error, SetupError) and error.slug == "preview-off" and "enabled = true" in error.hint
        values = (await fleet.call("config.explain", root=str(repository), key="preview"))["values"]
        assert {value["key"]: value["value"] for value in values} == {"preview.enabled": False, "preview.port": 0}
        with (tmp_path / "person.toml").open("a") as person:
            person.write(ON)
        assert (await refusal(fleet, task="T1")).slug == "no-such-task"


async def test_on_a_shared_loopback_nothing_but_the_sessions_own_ports_is_shown(tmp_path: Path) -> None:
    repository = make_repository(tmp_path / "repo")
    heard: list[object] = []
    other = await asyncio.start_server(lambda *streams: heard.append(streams), "127.0.0.1", 0)
    port = other.sockets[0].getsockname()[1]
    async with heddle(tmp_path, repository, asking(), config("0")) as fleet:
        id = await executing(fleet)
        error = await refusal(fleet, task=id, port=port)
        assert isinstance(error, Refused) and error.slug == "port-not-leased"
        assert f"port {port} is none of" in error.message
        assert (await refusal(fleet, task=id, port=70_000)).slug == "no-such-port"
        assert not heard
    other.close()


async def test_what_is_not_a_live_session_is_not_shown(tmp_path: Path) -> None:
    repository = make_repository(tmp_path / "repo")
    async with heddle(tmp_path, repository, asking(), config("0")) as fleet:
        id = await executing(fleet)
        error = await refusal(fleet, task=id, workspace="other")
        assert isinstance(error, UserError) and error.slug == "no-workspace"
        await fleet.until(id)
        await fleet.until_tidy(id)
        assert (await refusal(fleet, task=id)).slug == "no-workspace"
