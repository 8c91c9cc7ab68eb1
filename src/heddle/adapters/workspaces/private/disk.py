"""Work on the disk in threads: many workspaces wait for it at once, and the daemon for none of them."""

import asyncio
from collections.abc import Callable
from typing import ParamSpec

P = ParamSpec("P")


async def on_disk(work: Callable[P, None], *args: P.args, **kwargs: P.kwargs) -> None:
    """Run it to its end in a thread. A cancelled caller waits too: what holds a lock must not let go of it before."""
    running = asyncio.ensure_future(asyncio.to_thread(work, *args, **kwargs))
    try:
        await asyncio.shield(running)
    except asyncio.CancelledError:
        await asyncio.wait([running])
        raise
