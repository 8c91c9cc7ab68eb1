"""heddle init"""

import argparse
import json
import re
from pathlib import Path

from heddle.core.errors import OutsideError, Refused, UserError
from heddle.frontends.cli.output import answer, clean, here, narrate, say

EXAMPLES = ["heddle init", 'heddle init --check "make test"']

LIKELY = (
    ("pytest.ini", r"", "python -m pytest -q"),
    ("conftest.py", r"", "python -m pytest -q"),
    ("tests/conftest.py", r"", "python -m pytest -q"),
    ("pyproject.toml", r"(?m)^\[tool\.pytest|pytest", "python -m pytest -q"),
    ("tox.ini", r"(?m)^\[pytest\]", "python -m pytest -q"),
    ("setup.cfg", r"(?m)^\[tool:pytest\]", "python -m pytest -q"),
    ("tests/__init__.py", r"", "python -m unittest -q"),
    ("package.json", r'"test"\s*:', "npm test"),
    ("Cargo.toml", r"", "cargo test"),
    ("go.mod", r"", "go test ./..."),
    ("Makefile", r"(?m)^test\s*:", "make test"),
)
"""A file, what it must say, and the check that this makes likely; the first that fits is suggested."""


RECIPES = (
    ("package-lock.json", "npm"),
    ("pnpm-lock.yaml", "pnpm"),
    ("uv.lock", "uv"),
    ("requirements.txt", "pip"),
    ("Cargo.lock", "cargo"),
    ("go.sum", "go"),
)
"""A lockfile, and what installs what it names; of two that fill the same folder the first."""


def arguments(parser: argparse.ArgumentParser) -> None:
    """The words of the command."""
    parser.add_argument("--check", action="append", default=[], metavar="CMD", help="what must pass before landing")
    parser.add_argument("--setup", action="append", default=[], metavar="CMD", help="what makes a workspace ready")


def run(args: argparse.Namespace) -> int:
    """Write heddle.toml at the top of the repository; never over one that is there."""
    path = _top() / "heddle.toml"
    checks, dependencies = args.check or _likely(path.parent), _recipes(path.parent)
    try:
        with path.open("x", encoding="utf-8") as file:
            file.write(_text(checks, args.setup, dependencies))
    except FileExistsError:
        raise Refused(
            f"'{path}' is there already", slug="config-exists", hint="edit it; see: heddle config explain"
        ) from None
    except OSError as error:
        raise OutsideError(f"'{path}': {error.strerror}", slug="config-unwritable", hint="make room for it") from error
    if args.json:
        told = {"checks": checks, "setup": args.setup, "dependencies": dependencies}
        return answer({"schema": "heddle.init/1", "path": str(path), **told})
    say(clean(path))
    narrate(*(f"check: {clean(check)}" for check in checks or ["none found; name one in the file"]))
    narrate(*(f"dependencies: {name}, installed once for all workspaces" for name in dependencies))
    narrate("commit it: Heddle reads it from the commit a task starts on")
    return 0


def _top() -> Path:
    """The checkout that the working folder lies in."""
    for folder in (Path(here()), *Path(here()).parents):
        if (folder / ".git").exists():
            return folder
    raise UserError(f"'{here()}' is not in a git repository", slug="not-a-repository", hint="make one with: git init")


def _likely(root: Path) -> list[str]:
    for name, says, check in LIKELY:
        path = root / name
        if path.is_file() and re.search(says, path.read_text(encoding="utf-8", errors="replace")):
            return [check]
    return ["python -m unittest -q"] if [*root.glob("test_*.py"), *root.glob("tests/test_*.py")] else []


def _recipes(root: Path) -> list[str]:
    found = [name for lockfile, name in RECIPES if (root / lockfile).is_file()]
    rivals = {"pnpm": "npm", "pip": "uv"}
    return [name for name in found if rivals.get(name) not in found]


def _text(checks: list[str], setup: list[str], dependencies: list[str]) -> str:
    return (
        "# How Heddle works in this repository. `heddle config explain` shows every key and where its value comes from.\n"
        "# Commands run only after a person allowed them once: `heddle config allow`.\n\n"
        f"[checks]\ncommands = {_list(checks)}   # must pass before anything lands\n\n"
        f"[setup]\ncommands = {_list(setup)}   # make a fresh workspace ready\n"
        f"dependencies = {_list(dependencies)}   # what lockfiles name, installed once and shared\n\n"
        '# [gates]\n# plan = "person"        # person, delegation or nobody\n'
    )


def _list(items: list[str]) -> str:
    return json.dumps(items, ensure_ascii=False).replace("\x7f", "\\u007f")
