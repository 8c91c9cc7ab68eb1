"""Reading what an agent hands in: a document with an optional front matter between lines of `+++` (TOML)."""

import tomllib

from heddle.core.errors import UserError
from heddle.core.plan import Plan, require_plan, require_short
from heddle.core.task import Stage

NAMES = {Stage.RESEARCH: "research.md", Stage.PLAN: "plan.md", Stage.EXECUTE: "handoff.md"}
"""What the document of each stage is called in the out folder."""

FENCE = "+++"


def document(data: bytes) -> str:
    """The text of a document. Raises UserError(slug="malformed-document") when it is not UTF-8 text."""
    try:
        text = data.decode()
    except UnicodeDecodeError as error:
        raise UserError("the document is not UTF-8 text", slug="malformed-document") from error
    return "".join(char for char in text if char in "\n\t" or ord(char) >= 32)


def split(text: str) -> tuple[str, str]:
    """(front matter, body). A code fence around the whole or words before the front matter are forgiven."""
    lines = text.strip().splitlines()
    starts = [number for number, line in enumerate(lines) if line.strip() == FENCE]
    if len(starts) < 2:
        raise UserError(
            f"the plan has no front matter; it must begin with a line {FENCE}, TOML, and a line {FENCE}",
            slug="malformed-plan",
        )
    return "\n".join(lines[starts[0] + 1 : starts[1]]), "\n".join(lines[starts[1] + 1 :]).strip()


def load_plan(text: str, known_checks: tuple[str, ...]) -> Plan:
    """The plan in a document; the repository's own checks always belong to it. Raises UserError(malformed-plan)."""
    front, body = split(text)
    try:
        keys = tomllib.loads(front)
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        raise UserError(f"the front matter is not TOML: {error}", slug="malformed-plan") from error
    checks = keys.get("checks", [])
    if isinstance(checks, list):
        keys["checks"] = [*known_checks, *checks]
    return require_plan(keys, body)


def require_document(stage: Stage, text: str) -> None:
    """Raises UserError with the exact complaint when a stage's document is not what it must be."""
    if stage is Stage.PLAN:
        load_plan(text, ())
    else:
        require_short(text, str(stage))
