"""A real project: click, unpacked from its source distribution, with its own suite as the check."""

import json
import os
import sys
import tarfile
from pathlib import Path

from support.fleet import make_repository

PYTEST = f"PYTHONPATH=src PYTHONDONTWRITEBYTECODE=1 PYTEST_DISABLE_PLUGIN_AUTOLOAD=1 '{sys.executable}' -m pytest -q -W default"
SUITE = f"{PYTEST} -p no:cacheprovider tests"


def check(test: str) -> str:
    """The command that runs one test file of it."""
    return f"{PYTEST} -p no:cacheprovider {test}"


def plan(path: str, test: str) -> str:
    """A plan document for one file and its test."""
    return (
        f'+++\nscope = ["{path}", "{test}"]\nchecks = [{json.dumps(check(test))}]\n+++\n# Plan\n\n1. Change {path}.\n'
    )


def unpack(folder: Path) -> Path:
    """click as a repository."""
    with tarfile.open(os.environ["HEDDLE_TEST_SDIST"]) as archive:
        safely = {"filter": "data"} if hasattr(tarfile, "data_filter") else {}
        archive.extractall(folder, **safely)  # type: ignore[arg-type]
    source = next(path for path in folder.iterdir() if path.is_dir())
    files = {str(p.relative_to(source)): p.read_text() for p in source.rglob("*") if p.is_file() and _is_text(p)}
    commands = json.dumps([SUITE])
    files |= {"heddle.toml": f"[checks]\ncommands = {commands}\n", ".gitignore": "__pycache__/\n*.egg-info/\n"}
    return make_repository(folder / "click", files)


def _is_text(path: Path) -> bool:
    try:
        path.read_text()
    except UnicodeDecodeError:
        return False
    return True
