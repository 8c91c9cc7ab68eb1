"""Documents cannot rot: links lead somewhere, references are what the code says, every command shown parses."""

import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from heddle.core.errors import UserError
from heddle.frontends.cli.program import parser
from heddle.frontends.cli.table import COMMANDS

ROOT = Path(__file__).parents[2]
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])
TERMS = [
    "task",
    "run",
    "stage",
    "attempt",
    "lane",
    "plan",
    "step",
    "scope",
    "check",
    "gate",
    "verdict",
    "handoff",
    "agent",
    "role",
    "session",
    "turn",
    "workspace",
    "provider",
    "base",
    "sandbox",
    "tier",
    "account",
    "worker",
    "tracker",
    "goal",
    "rules",
    "permissions",
    "delegation",
    "note",
    "claim",
    "budget",
    "ledger",
    "limit",
    "radar",
    "drift",
    "overlap",
    "conflict",
    "stale",
    "queue",
    "train",
    "landing",
    "inbox",
    "item",
    "digest",
    "event",
    "journal",
    "transcript",
    "log",
    "map",
    "part",
    "coordinator",
]


def test_the_readme_is_short() -> None:
    assert len((ROOT / "README.md").read_text().splitlines()) <= 150


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_link_leads_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\((?!https?:|#|mailto:)([^)#]+)", page.read_text()):
        assert (page.parent / target).exists(), target


def test_every_word_of_the_house_is_in_the_glossary() -> None:
    first = [
        line.split("|")[1] for line in (ROOT / "docs/glossary.md").read_text().splitlines() if line.startswith("| ")
    ]
    words = {word.strip() for cell in first for word in cell.split("/")}
    assert [term for term in TERMS if term not in words] == []


def test_the_reference_is_what_the_code_says() -> None:
    done = subprocess.run([sys.executable, str(ROOT / "docs/generate.py"), "--check"], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def shown() -> list[str]:
    lines = []
    for page in PAGES:
        for block in re.findall(r"```(?:sh|console)\n(.*?)```", page.read_text(), re.DOTALL):
            lines += [line.removeprefix("$ ") for line in block.splitlines() if re.match(r"(?:\$ )?heddle ", line)]
    return sorted(set(lines))


@pytest.mark.parametrize("line", shown())
def test_every_command_shown_is_one_that_the_parser_takes(line: str) -> None:
    words = shlex.split(line.split(" | ")[0].split(" < ")[0].split(" > ")[0], comments=True)[1:]
    if words == [] or words[0].startswith("-"):
        return
    assert words[0] in COMMANDS
    try:
        parser(words[0]).parse_args(words[1:])
    except UserError as error:
        pytest.fail(f"{line}: {error.message}")


def test_no_file_names_a_place_of_a_machine_or_a_package_host() -> None:
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    hosts = re.compile(r"pyp" r"i\.org|files\.python" r"hosted|registry\.np" r"mjs|deb\.deb" r"ian")
    found = []
    for name in filter(None, listed.split("\0")):
        path = ROOT / name
        if path.suffix in {".py", ".md", ".toml", ".txt", ".yml", ".sh", ""} and path.is_file():
            text = path.read_text(errors="replace")
            found += [name for _ in hosts.finditer(text)]
    assert found == []
