"""A real agent program against a model server: a small driver that feeds its conversation over plain pipes.

Every stimulus and every line is logged, so that a session can be kept and replayed without the program.
"""

import asyncio
import os
import signal
import subprocess
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Self, TypeVar

from heddle.core.permission import permission
from heddle.core.scope import Scope
from heddle.core.session import Access, Allow, Brief, DocumentOffered, Fact, PermissionAsked, Reply, Send
from heddle.ports import Agent, Exit
from modelserver import ModelServer

DEADLINE_S = 120.0
LINE_LIMIT = 64 * 1024 * 1024

Answer = Callable[[Fact], Reply | None]
F = TypeVar("F")


def allow(fact: Fact) -> Reply | None:
    """Grant every permission and take every document."""
    return Allow() if isinstance(fact, PermissionAsked | DocumentOffered) else None


class Play:
    """One session of the real program. `facts` grows while it runs; `answer` decides what is asked."""

    def __init__(self, agent: Agent, brief: Brief, home: Path, answer: Answer = allow, **environment: str) -> None:
        self.conversation = agent.conversation(brief)
        self.facts: list[Fact] = []
        self.log: list[dict[str, Any]] = [{"brief": asdict(brief)}]
        self._command = agent.command(brief)
        self._brief = brief
        self._env = {**surroundings(home), **self._command.env, **environment}
        self._answer = answer
        self._turns = 1
        self._changed = asyncio.Condition()
        self._over = False

    async def __aenter__(self) -> Self:
        pipe = asyncio.subprocess.PIPE
        self._process = await asyncio.create_subprocess_exec(
            *self._command.argv,
            stdin=pipe,
            stdout=pipe,
            stderr=pipe,
            cwd=self._brief.tree,
            env=self._env,
            limit=LINE_LIMIT,
            start_new_session=True,
        )
        self._errors = asyncio.ensure_future(_read(self._process.stderr))
        self._reader = asyncio.ensure_future(self._listen())
        await self._send(self.conversation.open())
        return self

    async def __aexit__(self, *_: object) -> None:
        self.kill()
        await self._process.wait()
        await asyncio.gather(self._reader, self._errors, return_exceptions=True)

    async def until(self, kind: type[F], fits: Callable[[F], bool] = lambda fact: True, count: int = 1) -> F:
        """The `count`-th fact of a kind that fits, as soon as it is there; fails when the program ended."""

        def found() -> list[F]:
            return [fact for fact in self.facts if isinstance(fact, kind) and fits(fact)]

        async with asyncio.timeout(DEADLINE_S), self._changed:
            await self._changed.wait_for(lambda: len(found()) >= count or self._over)
        assert len(found()) >= count, f"no {kind.__name__}; facts: {self.facts}; log: {self.log[-5:]}"
        return found()[count - 1]

    def of(self, kind: type[F]) -> list[F]:
        """The facts of a kind so far."""
        return [fact for fact in self.facts if isinstance(fact, kind)]

    async def prompt(self, text: str) -> None:
        """A further turn."""
        self._turns += 1
        self.log.append({"prompt": text, "number": self._turns})
        await self._send(self.conversation.prompt(text, self._turns))

    async def interrupt(self) -> None:
        """Ask it to end its turn."""
        self.log.append({"interrupt": True})
        await self._send(self.conversation.interrupt())

    async def reply(self, request: str, reply: Reply) -> None:
        """Answer an open request."""
        self.log.append({"reply": request, "with": type(reply).__name__, **asdict(reply)})
        await self._send(self.conversation.reply(request, reply))

    def kill(self) -> None:
        """End the program, and what else is in its process group, without notice."""
        with suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)

    async def close(self) -> Exit:
        """Close its input and wait for its end; the facts then are complete."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        async with asyncio.timeout(DEADLINE_S):
            await self._reader
            status = await self._process.wait()
        exit = Exit(status if status >= 0 else None, -status if status < 0 else None, "exited")
        errors = (await self._errors).decode()
        self.log.append({"exit": asdict(exit), "errors": errors})
        self.facts += self.conversation.exited(exit, errors)
        return exit

    async def _listen(self) -> None:
        assert self._process.stdout is not None
        async for line in self._process.stdout:
            self.log.append({"said": line.decode().rstrip("\n")})
            for item in self.conversation.receive(line.rstrip(b"\n")):
                await (self._send([item]) if isinstance(item, Send) else self._take(item))
        async with self._changed:
            self._over = True
            self._changed.notify_all()

    async def _take(self, fact: Fact) -> None:
        async with self._changed:
            self.facts.append(fact)
            self._changed.notify_all()
        reply = self._answer(fact)
        if reply is not None and isinstance(request := getattr(fact, "request", None), str):
            await self.reply(request, reply)

    async def _send(self, messages: list[Send]) -> None:
        assert self._process.stdin is not None
        for message in messages:
            self.log.append({"sent": message.id, "data": message.data.decode()})
            with suppress(ConnectionError):
                self._process.stdin.write(message.data)
                await self._process.stdin.drain()


async def _read(stream: asyncio.StreamReader | None) -> bytes:
    return b"" if stream is None else await stream.read()


def surroundings(home: Path) -> Mapping[str, str]:
    """The little environment that a held process gets; everything the program writes lies below `home`."""
    place = home / "tmp"
    place.mkdir(parents=True, exist_ok=True)
    places = {"HOME": str(home), "TMPDIR": str(place), "CLAUDE_CODE_TMPDIR": str(place)}
    return {"PATH": os.environ["PATH"], "LANG": "C.UTF-8", **places}


def repository(path: Path) -> None:
    """A repository with one file."""
    path.mkdir()
    (path / "hello.txt").write_text("hello world\n")
    identity = ["-c", "user.name=Person", "-c", "user.email=person@localhost"]
    for command in (["init", "-q", "-b", "main"], ["add", "."], [*identity, "commit", "-q", "-m", "start"]):
        subprocess.run(["git", *command], cwd=path, check=True)


@dataclass
class Place:
    """A repository, a home and an out folder for sessions of a real program."""

    server: ModelServer
    root: Path

    @property
    def tree(self) -> Path:
        """Where it works."""
        return self.root / "tree"

    @property
    def out(self) -> Path:
        """Where it leaves documents."""
        return self.root / "out"

    @property
    def home(self) -> Path:
        """Its HOME."""
        return self.root / "home"

    def prepare(self) -> Self:
        """With a repository in it."""
        repository(self.tree)
        self.out.mkdir()
        return self

    def brief(self, prompt: str, access: Access = Access.WRITE, *, session: str = "T1", resume: str = "") -> Brief:
        """What a session is started with."""
        return Brief(session, prompt, access, str(self.tree), str(self.out), resume=resume)

    def files(self) -> set[str]:
        """What lies in the tree."""
        return {path.name for path in self.tree.iterdir() if path.name != ".git"}

    def as_heddle(self, access: Access, *scope: str) -> Answer:
        """Answer permissions as the engine does."""

        def answer(fact: Fact) -> Reply | None:
            if isinstance(fact, PermissionAsked):
                return permission(fact, access, str(self.tree), str(self.out), Scope(scope))
            return allow(fact)

        return answer
