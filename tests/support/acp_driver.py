"""A real agent process at the other end of our ACP codec: what the engine and the holder do, in a few lines."""

import asyncio
import signal
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TypeVar

from heddle.adapters.agents.acp import AcpConversation
from heddle.core.session import (
    Allow,
    AnswerAsked,
    Answered,
    Brief,
    Fact,
    PermissionAsked,
    Reply,
    Send,
    TurnEnded,
)
from heddle.ports import Exit

LIMIT_S = 30.0
LINE_LIMIT = 1 << 24

Asked = PermissionAsked | AnswerAsked
Answer = Callable[[Asked], Reply | None]
F = TypeVar("F")


def willing(asked: Asked) -> Reply:
    """Allows everything, and answers each question with its default."""
    return Allow() if isinstance(asked, PermissionAsked) else Answered(asked.default)


@dataclass
class Told:
    """What a conversation made of its lines."""

    facts: list[Fact] = field(default_factory=list)
    sends: list[Send] = field(default_factory=list)

    def of(self, kind: type[F]) -> list[F]:
        """The facts of a kind."""
        return [fact for fact in self.facts if isinstance(fact, kind)]

    def take(self, items: Sequence[Fact | Send]) -> None:
        """Sort what a line yielded."""
        for item in items:
            if isinstance(item, Send):
                self.sends.append(item)
            else:
                self.facts.append(item)


def replay(brief: Brief, transcript: Sequence[bytes], answer: Answer = willing) -> Told:
    """What a fresh conversation makes of a transcript, every request answered as soon as it is read."""
    conversation, told = AcpConversation(brief), Told()
    told.take(conversation.open())
    for line in transcript:
        for item in conversation.receive(line):
            told.take([item])
            reply = answer(item) if isinstance(item, PermissionAsked | AnswerAsked) else None
            if reply is not None:
                told.take(conversation.reply(item.request, reply))  # type: ignore[union-attr]
    return told


class Driven(Told):
    """A process that is being driven. Every wait is bounded by LIMIT_S."""

    def __init__(self, process: asyncio.subprocess.Process, brief: Brief, answer: Answer) -> None:
        super().__init__()
        self.process = process
        self.brief = brief
        self.conversation = AcpConversation(brief)
        self.answer = answer
        self.transcript: list[bytes] = []
        self.exit: Exit | None = None

    async def send(self, messages: Sequence[Send]) -> None:
        """Give messages to the agent, which may have left."""
        assert self.process.stdin is not None
        self.sends += messages
        try:
            self.process.stdin.write(b"".join(message.data for message in messages))
            await self.process.stdin.drain()
        except (BrokenPipeError, ConnectionResetError):
            return

    async def until(self, holds: Callable[[Fact], bool]) -> Fact:
        """The first fact from here on for which something holds; fails when the agent falls silent or leaves."""
        seen = len(self.facts)
        async with asyncio.timeout(LIMIT_S):
            while True:
                for fact in self.facts[seen:]:
                    if holds(fact):
                        return fact
                seen = len(self.facts)
                assert await self._read(), f"the agent left; it had told {self.facts}"

    async def turn(self) -> TurnEnded:
        """Until the turn is over."""
        ended = await self.until(lambda fact: isinstance(fact, TurnEnded))
        assert isinstance(ended, TurnEnded)
        return ended

    async def end(self) -> Exit:
        """Until the turn is over or the agent left by itself; then leave."""
        async with asyncio.timeout(LIMIT_S):
            while not self.of(TurnEnded) and await self._read():
                continue
        return await self.leave()

    async def _read(self) -> bool:
        assert self.process.stdout is not None
        line = await self.process.stdout.readline()
        if not line:
            return False
        self.transcript.append(line.rstrip(b"\n"))
        for item in self.conversation.receive(self.transcript[-1]):
            if isinstance(item, Send):
                await self.send([item])
                continue
            self.facts.append(item)
            reply = self.answer(item) if isinstance(item, PermissionAsked | AnswerAsked) else None
            if reply is not None:
                await self.send(self.conversation.reply(item.request, reply))  # type: ignore[union-attr]
        return True

    async def leave(self) -> Exit:
        """Close the agent's input, read to its end, and tell the conversation how it ended."""
        if self.exit is not None:
            return self.exit
        assert self.process.stdin is not None
        assert self.process.stderr is not None
        self.process.stdin.close()
        async with asyncio.timeout(LIMIT_S):
            while await self._read():
                continue
            errors = (await self.process.stderr.read()).decode(errors="replace")
            status = await self.process.wait()
        self.exit = Exit(status, None, "exited") if status >= 0 else Exit(None, -status, "exited")
        self.facts += self.conversation.exited(self.exit, errors)
        return self.exit


@asynccontextmanager
async def driven(
    argv: Sequence[str], brief: Brief, *, env: dict[str, str], answer: Answer = willing
) -> AsyncIterator[Driven]:
    """An agent in the brief's tree, with the first messages sent; it is gone when the block is left."""
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(
        *argv, cwd=brief.tree, env=env, stdin=pipe, stdout=pipe, stderr=pipe, limit=LINE_LIMIT
    )
    agent = Driven(process, brief, answer)
    try:
        await agent.send(agent.conversation.open())
        yield agent
        await agent.leave()
    finally:
        if process.returncode is None:
            process.send_signal(signal.SIGKILL)
            await process.wait()
