"""`heddle status --json` without a parser: the daemon's bytes, as they are but for what could steer a terminal."""

import json
import sys

from heddle.client import call_raw


def status(all: bool) -> int:
    """Print the board of all repositories as JSON. `all`: finished tasks too."""
    try:
        answer = call_raw("board", all=all)
        if not answer.isascii():  # control characters beyond ASCII need no escape in JSON, but terminals obey them
            answer = json.dumps(json.loads(answer)).encode()
        sys.stdout.buffer.write(answer + b"\n")
        sys.stdout.flush()
    except (Exception, KeyboardInterrupt) as error:
        from heddle.frontends.cli.program import failed

        return failed(error, as_json=True)
    return 0
