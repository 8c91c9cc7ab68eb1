"""`python -m heddle.server`: the daemon as a process."""

import gc
import sys


def start() -> int:
    """Load everything, then serve. What is loaded stays: looking for what of it could go is an eighth of the start."""
    gc.disable()
    from heddle.server.daemon import main

    gc.freeze()
    gc.enable()
    return main()


sys.exit(start())
