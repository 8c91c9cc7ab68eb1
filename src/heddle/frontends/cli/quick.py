"""`heddle status --json` without a parser: the daemon's bytes, as they are."""

import sys

from heddle.client import call_raw
from heddle.core.errors import HeddleError


def status() -> int:
    """Print the board of all repositories as JSON."""
    try:
        answer = call_raw("board")
    except HeddleError as error:
        import json

        sys.stdout.write(json.dumps({"error": error.as_dict()}, default=str) + "\n")
        return error.exit_status
    sys.stdout.write(answer.decode() + "\n")
    return 0
