"""`heddle status --json` without a parser: the daemon's bytes, as they are."""

import sys

from heddle.client import call_raw


def status(all: bool) -> int:
    """Print the board of all repositories as JSON. `all`: finished tasks too."""
    try:
        answer = call_raw("board", all=all)
        sys.stdout.buffer.write(answer + b"\n")
        sys.stdout.flush()
    except (Exception, KeyboardInterrupt) as error:
        from heddle.frontends.cli.program import failed

        return failed(error, as_json=True)
    return 0
