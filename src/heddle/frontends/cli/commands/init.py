"""heddle init"""

import argparse
import json
import os
import subprocess
from pathlib import Path

from heddle.core.errors import Refused, UserError
from heddle.frontends.cli.output import answer, clean, narrate, say

EXAMPLES = ["heddle init", 'heddle init --check "make test"']

LIKELY = (
    ("pytest.ini", "python -m pytest -q"),
    ("tox.ini", "python -m pytest -q"),
    ("pyproject.toml", "python -m pytest -q"),
    ("package.json", "npm test"),
    ("Cargo.toml", "cargo test"),
    ("go.mod", "go test ./..."),
    ("Makefile", "make test"),
)


def arguments(parser: argparse.ArgumentParser) -> None:
    """The words of the command."""
    parser.add_argument("--check", action="append", default=[], metavar="CMD", help="what must pass before landing")
    parser.add_argument("--setup", action="append", default=[], metavar="CMD", help="what makes a workspace ready")


def run(args: argparse.Namespace) -> int:
    """Write heddle.toml at the top of the repository; never over one that is there."""
    found = subprocess.run(["git", "rev-parse", "--show-toplevel"], capture_output=True, text=True, check=False)
    if found.returncode != 0:
        raise UserError(f"'{os.getcwd()}' is not in a git repository", slug="not-a-repository", hint="make one with: git init")
    path = Path(found.stdout.strip()) / "heddle.toml"
    checks = args.check or [line for name, line in LIKELY if (path.parent / name).exists()][:1]
    try:
        with path.open("x", encoding="utf-8") as file:
            file.write(_text(checks, args.setup))
    except FileExistsError:
        raise Refused(f"'{path}' is there already", slug="config-exists", hint="edit it; see: heddle config explain") from None
    if args.json:
        return answer({"schema": "heddle.init/1", "path": str(path), "checks": checks, "setup": args.setup})
    say(clean(path))
    narrate("commit it: Heddle reads it from the commit a task starts on")
    return 0


def _text(checks: list[str], setup: list[str]) -> str:
    return (
        "# How Heddle works in this repository. `heddle config explain` shows every key and where its value comes from.\n"
        "# Commands run only after a person allowed them once.\n\n"
        f"[checks]\ncommands = {json.dumps(checks)}   # must pass before anything lands\n\n"
        f"[setup]\ncommands = {json.dumps(setup)}   # make a fresh workspace ready\n\n"
        '# [gates]\n# plan = "person"        # person, delegation or nobody\n'
    )
