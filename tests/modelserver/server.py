"""The server: one thread with an event loop, so that an answer can wait for a test and still end at once."""

import asyncio
import json
import re
import threading
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, field, replace
from types import TracebackType
from typing import Self

from .dialects import Asked, Dialect
from .dialects.anthropic import Anthropic
from .dialects.chat import Chat
from .dialects.gemini import Gemini
from .dialects.responses import Responses
from .http1 import Request, Response, next_request
from .scenario import Cue, Error, Scenario, Turn, When, cue
from .tools import Unscripted, filled, tool_calls

DIALECTS: tuple[Dialect, ...] = (Responses(), Chat(), Anthropic(), Gemini())

DIRECTORY = re.compile(r"(?:[Ww]orking (?:directory|in the directory): *`?|<cwd>)([^\n`<]+)")
PLAN_FILE = re.compile(r"(?:create your plan at|plan file (?:already )?exists at|[Pp]lan file:?) `?(/[^\s`]+\.md)")


@dataclass(slots=True)
class Call:
    """One request for a turn. `outcome`: "" while it lasts, then answered, error, dropped or gone (left).

    `prompt` is the person's last message, `context` all that the model was told beside the conversation.
    """

    serial: int
    at: float
    scenario: str
    index: int
    session: str
    model: str
    aside: bool
    tools: tuple[str, ...]
    prompt: str
    headers: Mapping[str, str] = field(repr=False)
    context: str = field(repr=False)
    status: int = 0
    outcome: str = ""
    ended: float = 0.0


class ModelServer:
    """See the package. Use it as a context manager; `url` is the base URL for the agent."""

    def __init__(self) -> None:
        self._scenarios: list[Scenario] = []
        self._calls: list[Call] = []
        self._failed: Counter[tuple[str, int, str]] = Counter()
        self._gates: defaultdict[str, asyncio.Event] = defaultdict(asyncio.Event)
        self._waiting: Counter[str] = Counter()
        self._changed = threading.Condition()
        self._loop = asyncio.new_event_loop()
        self._ready = threading.Event()
        self._stop = asyncio.Event()
        self._thread = threading.Thread(target=self._run, name="model-server", daemon=True)
        self._connections: set[asyncio.Task[None]] = set()
        self.url = ""

    # ------------------------------------------------------------------------------ for the test's thread

    def __enter__(self) -> Self:
        self._thread.start()
        self._ready.wait()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join()

    def play(self, when: When | str, *turns: Turn) -> None:
        """Script the prompts that `when` describes; a text is the name of a marker."""
        self._scenarios.append(Scenario(When(when) if isinstance(when, str) else when, turns))

    def open(self, gate: str) -> None:
        """Let everyone pass who waits at the gate, and all who come later."""
        self._loop.call_soon_threadsafe(self._gates[gate].set)

    def wait_at(self, gate: str, count: int = 1, timeout_s: float = 60.0) -> None:
        """Return as soon as `count` requests wait at the gate. Raises TimeoutError."""
        self._wait(lambda: self._waiting[gate] >= count, timeout_s, f"{count} requests at gate '{gate}'")

    def wait_calls(self, fits: Callable[[Call], bool], count: int = 1, timeout_s: float = 60.0) -> None:
        """Return as soon as `count` calls in the log fit. Raises TimeoutError."""
        self._wait(lambda: sum(map(fits, self._calls)) >= count, timeout_s, f"{count} fitting calls")

    def calls(self, scenario: str = "") -> list[Call]:
        """The turns asked for so far, in order of arrival; of one scenario when named. No asides."""
        with self._changed:
            return [call for call in self._calls if not call.aside and scenario in ("", call.scenario)]

    def _wait(self, holds: Callable[[], bool], timeout_s: float, what: str) -> None:
        with self._changed:
            if not self._changed.wait_for(holds, timeout_s):
                raise TimeoutError(f"waited {timeout_s:.0f} s for {what}; log: {self._calls}")

    # ----------------------------------------------------------------------------------- the server's thread

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        self._loop.run_until_complete(self._serve())
        self._loop.close()

    async def _serve(self) -> None:
        server = await asyncio.start_server(self._connection, "127.0.0.1", 0, limit=64 * 1024 * 1024)
        self.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        self._ready.set()
        await self._stop.wait()
        server.close()
        for connection in tuple(self._connections):
            connection.cancel()
        await asyncio.gather(*self._connections, return_exceptions=True)

    async def _connection(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._connections.add(task)
        try:
            while (request := await next_request(reader)) is not None:
                if not await self._exchange(request, reader, Response(writer)):
                    break
        except (ConnectionError, asyncio.CancelledError):
            pass  # the agent or the test has left: nothing more to say
        finally:
            self._connections.discard(task)
            with suppress(ConnectionError, RuntimeError):
                writer.close()

    async def _exchange(self, request: Request, reader: asyncio.StreamReader, to: Response) -> bool:
        """Answer one request; whether the connection goes on."""
        for dialect in DIALECTS:
            if dialect.accepts(request):
                return await self._turn(dialect, request, reader, to)
            if (plain := dialect.plain(request)) is not None:
                await to.json(200, plain)
                return True
        if request.method == "GET" and request.path == "/_calls":
            await to.json(200, [asdict(call) | {"headers": dict(call.headers)} for call in self._calls])
        elif request.method == "POST" and request.path.startswith("/_open/"):
            self._gates[request.path.removeprefix("/_open/")].set()
            await to.json(200, {})
        else:
            await to.json(404, {"type": "error", "error": {"type": "not_found_error", "message": "no such path"}})
        return True

    async def _turn(self, dialect: Dialect, request: Request, reader: asyncio.StreamReader, to: Response) -> bool:
        asked = dialect.asked(request)
        found = None if asked.aside else cue(self._scenarios, asked.messages)
        call = self._logged(request, asked, found)
        outcome = "gone"
        try:
            outcome = await self._answer(dialect, asked, found, call, reader, to)
        finally:
            with self._changed:
                call.status, call.outcome, call.ended = to.status, outcome, time.time()
                self._changed.notify_all()
        return outcome not in ("dropped", "gone")

    def _logged(self, request: Request, asked: Asked, found: Cue | None) -> Call:
        name, index = (str(found.scenario.when), found.index) if found else ("", -1)
        prompt = next((m.text for m in reversed(asked.messages) if m.role == "user" and m.text), "")
        tools = tuple(asked.tools)
        about = (asked.session, asked.model, asked.aside, tools, prompt, request.headers, asked.system)
        with self._changed:
            call = Call(len(self._calls), time.time(), name, index, *about)
            self._calls.append(call)
            self._changed.notify_all()
        return call

    async def _answer(
        self,
        dialect: Dialect,
        asked: Asked,
        found: Cue | None,
        call: Call,
        reader: asyncio.StreamReader,
        to: Response,
    ) -> str:
        """Play the turn; the outcome for the log."""
        if asked.aside:
            turn, fields = Turn(json.dumps({"title": "Scripted"}) if asked.wants_json else "Scripted."), {}
        elif found is None:
            await dialect.fail(Error(400, f"no scenario for: {call.prompt[:200]}"), to)
            return "error"
        else:
            turn, fields = found.scenario.turn(found.index), {**found.fields, **_places(asked)}
        await asyncio.sleep(turn.delay_s)
        if not await self._pass_gate(turn.gate, reader):
            return "gone"
        if turn.error and self._fails(turn.error, call):
            if not turn.error.drop:
                await dialect.fail(turn.error, to)
            return "dropped" if turn.error.drop else "error"
        try:
            calls = tool_calls(turn, asked.tools, fields)
        except Unscripted as problem:
            await dialect.fail(Error(400, str(problem)), to)
            return "error"
        turn = replace(turn, text=filled(turn.text, fields))
        await dialect.begin(asked, turn, calls, call.serial, to)
        if not await self._pass_gate(turn.gate_end, reader):
            return "gone"
        await dialect.finish(asked, turn, calls, call.serial, to)
        return "answered"

    def _fails(self, error: Error, call: Call) -> bool:
        key = (call.scenario, call.index, call.session)
        self._failed[key] += 1
        return error.times == 0 or self._failed[key] <= error.times

    async def _pass_gate(self, gate: str, reader: asyncio.StreamReader) -> bool:
        """Wait until the gate is open; False when the agent left meanwhile."""
        if not gate or self._gates[gate].is_set():
            return True
        self._count(gate, 1)
        opened, left = asyncio.ensure_future(self._gates[gate].wait()), asyncio.ensure_future(reader.read(1))
        try:
            await asyncio.wait({opened, left}, return_when=asyncio.FIRST_COMPLETED)
            return opened.done()
        finally:
            self._count(gate, -1)
            opened.cancel()
            left.cancel()
            await asyncio.gather(opened, left, return_exceptions=True)  # the reader must be free again

    def _count(self, gate: str, by: int) -> None:
        with self._changed:
            self._waiting[gate] += by
            self._changed.notify_all()


def _places(asked: Asked) -> dict[str, str]:
    """Where the agent works and where it wants its plan, from what it told the model."""
    places = {}
    if found := DIRECTORY.search(asked.system):
        places["cwd"] = found.group(1).strip().rstrip(".")
    if plans := PLAN_FILE.findall(asked.system):
        places["planfile"] = plans[-1]
    return places
