"""`python -I -S seeded.py FILE COMMAND...`: put settings into an agent's JSON file, then become the agent.

The settings are the JSON object in HEDDLE_SEED, which the agent does not get to see; objects in the file are added to,
everything else is replaced. For what an agent would otherwise ask on its own screen before it shows a conversation.
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
    seed(Path(file).expanduser(), json.loads(os.environ.pop(SEED, "{}")))
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
    path.parent.mkdir(parents=True, exist_ok=True)
    fresh = path.with_name(f"{path.name}.{os.getpid()}")
    fresh.write_text(json.dumps(merged(known, settings)))
    fresh.chmod(0o600)
    fresh.replace(path)


def merged(known: dict[str, Any], more: dict[str, Any]) -> dict[str, Any]:
    """`known` with `more` in it, object by object."""
    both = {name: merged(known[name], value) for name, value in more.items() if _objects(known.get(name), value)}
    return {**known, **more, **both}


def _objects(one: object, other: object) -> bool:
    return isinstance(one, dict) and isinstance(other, dict)


if __name__ == "__main__":
    sys.exit(main())
