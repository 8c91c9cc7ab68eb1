"""The daemon with deaths in it: killed right before or after each of the ordered journal commits.

    python crashing.py before|after|never COUNTER [NUMBER ...]

COUNTER is a file that counts commits over all lives of the daemon, so that a number means the same in each of them.
Beside it lies what has been died at.
"""

import os
import signal
import sys
from pathlib import Path
from typing import Any

from heddle.adapters.journal.sqlite import SqliteJournal
from heddle.server.daemon import main

when, counter, numbers = sys.argv[1], Path(sys.argv[2]), frozenset(map(int, sys.argv[3:]))
died = Path(f"{counter}.died")
append = SqliteJournal.append


def die_at(count: int, moment: str) -> None:
    """Die here, where it was ordered and has not happened yet."""
    before = died.read_text().split() if died.exists() else []
    if when == moment and count in numbers and str(count) not in before:
        died.write_text(" ".join([*before, str(count)]))
        os.kill(os.getpid(), signal.SIGKILL)


async def dying(self: SqliteJournal, *args: Any, **kwargs: Any) -> Any:
    """Append, with the deaths where they were ordered."""
    count = int(counter.read_text() or 0) + 1 if counter.exists() else 1
    die_at(count, "before")
    written = await append(self, *args, **kwargs)
    counter.write_text(str(count))
    die_at(count, "after")
    return written


SqliteJournal.append = dying  # type: ignore[method-assign]
sys.argv = sys.argv[:1]
sys.exit(main())
