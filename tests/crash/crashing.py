"""The daemon with a death in it: killed right before or after its k-th journal commit.

    python crashing.py before|after K COUNTER

COUNTER is a file that counts commits over all lives of the daemon, so that K means the same in each of them.
"""

import os
import signal
import sys
from pathlib import Path
from typing import Any

from heddle.adapters.journal.sqlite import SqliteJournal
from heddle.server.daemon import main

when, number, counter = sys.argv[1], int(sys.argv[2]), Path(sys.argv[3])
append = SqliteJournal.append


async def dying(self: SqliteJournal, *args: Any, **kwargs: Any) -> Any:
    """Append, with the death where it was ordered."""
    count = int(counter.read_text() or 0) + 1 if counter.exists() else 1
    if when == "before" and count == number and not Path(f"{counter}.died").exists():
        Path(f"{counter}.died").touch()
        os.kill(os.getpid(), signal.SIGKILL)
    written = await append(self, *args, **kwargs)
    counter.write_text(str(count))
    if when == "after" and count == number and not Path(f"{counter}.died").exists():
        Path(f"{counter}.died").touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return written


SqliteJournal.append = dying  # type: ignore[method-assign]
sys.argv = sys.argv[:1]
sys.exit(main())
