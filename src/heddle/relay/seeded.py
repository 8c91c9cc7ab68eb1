"""`python -I -S seeded.py FILE COMMAND...`: put settings into an agent's JSON file, then become the agent.

The settings are the JSON object in HEDDLE_SEED, which the agent does not get to see; objects and lists in the file are added
to, everything else is replaced. For what an agent would otherwise ask on its own screen before it shows a conversation.
"""

import json
import os
import sys
from pathlib import Path
from typing import Any

SEED = "HEDDLE_SEED"


def main() -> int:
    """Never returns when all is well."""
    file, *command = sys.argv[1:]
    try:
        seed(Path(file).expanduser(), json.loads(os.environ.pop(SEED, "{}")))
    except OSError as error:  # then it asks
        sys.stderr.write(f"'{file}': {error.strerror}\n")
    try:
        os.execvp(command[0], command)
    except OSError as error:
        sys.stderr.write(f"'{command[0]}': {error.strerror}\n")
    return 127


def seed(path: Path, settings: dict[str, Any]) -> None:
    """Add settings to a JSON file, which need not be there; one that is no object stays as it is."""
    try:
        known = json.loads(path.read_text())
    except FileNotFoundError:
        known = {}
    except ValueError:
        return
    if not isinstance(known, dict):
        return
    path = path.resolve()
    path.parent.mkdir(parents=True, exist_ok=True)
    fresh = path.with_name(f"{path.name}.{os.getpid()}")
    with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        json.dump(merged(known, settings), file)
    fresh.replace(path)


def merged(known: dict[str, Any], more: dict[str, Any]) -> dict[str, Any]:
    """`known` with `more` in it, object by object and list by list."""
    return {**known, **{name: _united(known.get(name), value) for name, value in more.items()}}


def _united(known: Any, more: Any) -> Any:
    if isinstance(known, dict) and isinstance(more, dict):
        return merged(known, more)
    if isinstance(known, list) and isinstance(more, list):
        return [*known, *(one for one in more if one not in known)]
    return more


if __name__ == "__main__":
    sys.exit(main())
