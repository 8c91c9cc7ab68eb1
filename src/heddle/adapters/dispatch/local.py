"""The Dispatcher port on one event loop."""

import asyncio
from collections.abc import Awaitable, Callable


class LocalDispatcher:
    """One asyncio task per key. What was submitted while the key's work ran starts when that has ended."""

    def __init__(self) -> None:
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._next: dict[str, Callable[[], Awaitable[None]]] = {}

    def submit(self, key: str, work: Callable[[], Awaitable[None]]) -> None:
        """See the port."""
        if key in self._tasks:
            self._next[key] = work
            return
        task = asyncio.create_task(_run(work), name=f"work:{key}")
        self._tasks[key] = task
        task.add_done_callback(lambda _: self._done(key))

    def running(self) -> tuple[str, ...]:
        """See the port."""
        return tuple(self._tasks)

    async def cancel(self, key: str) -> None:
        """See the port."""
        self._next.pop(key, None)
        task = self._tasks.get(key)
        if task is not None:
            task.cancel()
            await asyncio.wait({task})

    async def close(self) -> None:
        """See the port."""
        self._next.clear()
        tasks = set(self._tasks.values())
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)

    def _done(self, key: str) -> None:
        self._tasks.pop(key, None)
        work = self._next.pop(key, None)
        if work is not None:
            self.submit(key, work)


async def _run(work: Callable[[], Awaitable[None]]) -> None:
    await work()
