"""`python -m heddle.rehearsal [--script FILE]`: the rehearsal agent as a process."""

import os
import sys
from pathlib import Path

from heddle.rehearsal.acp import Server
from heddle.rehearsal.script import load


def main() -> int:
    """Serve until the client leaves."""
    args = sys.argv[1:]
    if args[:1] == ["--version"]:
        sys.stdout.write("rehearsal 1.0\n")
        return 0
    named = args[1] if args[:1] == ["--script"] and len(args) > 1 else os.environ.get("HEDDLE_REHEARSAL_SCRIPT", "")
    try:
        scenes = load(Path(named)) if named else []
    except ValueError as error:
        sys.stderr.write(f"rehearsal: {error}\n")
        return 2
    Server(scenes).serve()
    return 0


sys.exit(main())
