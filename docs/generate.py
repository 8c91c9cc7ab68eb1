"""Writes docs/reference from the code: commands, configuration, events, attacks. A test compares it with a fresh run.

python docs/generate.py          write
python docs/generate.py --check  exit 1 when something differs
"""

import argparse
import dataclasses
import inspect
import os
import sys
from importlib.resources import files
from pathlib import Path

os.environ["COLUMNS"] = "100"
sys.path.append(str(Path(__file__).parents[1] / "tests"))

from attacks import suite
from heddle.core.events import EVENTS
from heddle.frontends.cli.program import load, parser
from heddle.frontends.cli.table import COMMANDS

HERE = Path(__file__).parent / "reference"


def commands() -> str:
    """Every command with its help."""
    parts = [
        "# Commands\n",
        "Every command takes `--json` and `--repo PATH`. Exit status: 0 ok, 1 the answer is no, 2 usage,",
    ]
    parts.append(
        "3 needs a person, 4 set-up, 5 limited, 6 refused, 7 something outside failed, 70 a fault of ours, 130 interrupt.\n"
    )
    for name, line in COMMANDS.items():
        made = parser(name)
        usage = "\n".join(one.format_usage().removeprefix("usage: ").strip() for one in verbs(made) or [made])
        examples = "\n".join(load(name).EXAMPLES)
        parts.append(f"## {name}\n\n{line[0].upper()}{line[1:]}.\n\n```text\n{usage}\n```\n\n```sh\n{examples}\n```\n")
    return "\n".join(parts)


def verbs(made: argparse.ArgumentParser) -> list[argparse.ArgumentParser]:
    """The parsers of a command's verbs, where each has its own."""
    return [verb for action in made._actions if isinstance(action.choices, dict) for verb in action.choices.values()]


def configuration() -> str:
    """The shipped defaults, which name every key."""
    text = files("heddle.data").joinpath("defaults.toml").read_text()
    return (
        "# Configuration\n\nEvery key with its default. Layers, each over the one before: these defaults, your own file\n"
        "(`~/.config/heddle/config.toml`), `heddle.toml` of the repository (read from the commit a task starts on),\n"
        "`.heddle/local.toml`, the environment. A repository may narrow, never widen.\n"
        f"`heddle config explain KEY` tells what holds and where it comes from.\n\n```toml\n{text}```\n"
    )


def events() -> str:
    """Every kind of event with its fields."""
    parts = ["# Events\n", "What the journal holds. `heddle events --json` prints it.\n"]
    for name, kind in sorted(EVENTS.items()):
        fields = ", ".join(f"`{field.name}`" for field in dataclasses.fields(kind)) or "none"
        parts.append(f"## {name}\n\n{inspect.getdoc(kind)}\n\nFields: {fields}.\n")
    return "\n".join(parts)


PAGES = {
    "commands.md": commands,
    "configuration.md": configuration,
    "events.md": events,
    "attacks.md": suite.table,
}


def main() -> int:
    """Write, or compare."""
    differing = []
    for name, make in PAGES.items():
        path, text = HERE / name, make()
        if "--check" in sys.argv[1:]:
            differing += [name] if not path.exists() or path.read_text() != text else []
        else:
            path.write_text(text)
    for name in differing:
        sys.stderr.write(f"docs/reference/{name} is not what the code says; run: python docs/generate.py\n")
    return 1 if differing else 0


if __name__ == "__main__":
    sys.exit(main())
