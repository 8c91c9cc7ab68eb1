"""Reading what an agent hands in: a document with an optional front matter between lines of `+++` (TOML)."""

import tomllib

from heddle.core.errors import UserError
from heddle.core.gate import Colour
from heddle.core.plan import Plan, require_plan, require_short
from heddle.core.task import Stage

NAMES = {
    Stage.RESEARCH: "research.md",
    Stage.PLAN: "plan.md",
    Stage.EXECUTE: "handoff.md",
    Stage.VALIDATE: "review.md",
}
"""What the document of each stage is called in the out folder."""

FENCE = "+++"


def document(data: bytes) -> str:
    """The text of a document. Raises UserError(slug="malformed-document") when it is not UTF-8 text."""
    try:
        text = data.decode()
    except UnicodeDecodeError as error:
        raise UserError("the document is not UTF-8 text", slug="malformed-document") from error
    return "".join(char for char in text if char in "\n\t" or ord(char) >= 32)


def split(text: str, name: str = "plan") -> tuple[str, str]:
    """(front matter, body). A code fence around the whole or words before the front matter are forgiven."""
    lines = text.strip().splitlines()
    starts = [number for number, line in enumerate(lines) if line.strip() == FENCE]
    if len(starts) < 2:
        raise UserError(
            f"the {name} has no front matter; it must begin with a line {FENCE}, TOML, and a line {FENCE}",
            slug=f"malformed-{name}",
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


OPINIONS = {"yes": Colour.GREEN, "no": Colour.RED}
"""What a reviewer may say of a result."""


def load_review(text: str) -> tuple[Colour, str]:
    """What a review says, and its findings. Raises UserError(slug="malformed-review")."""
    front, body = split(text, "review")
    try:
        keys = tomllib.loads(front)
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        raise UserError(f"the front matter is not TOML: {error}", slug="malformed-review") from error
    verdict = keys.get("verdict")
    if set(keys) != {"verdict"} or not isinstance(verdict, str) or verdict not in OPINIONS:
        raise UserError('the front matter is not verdict = "yes", or "no"', slug="malformed-review")
    require_short(body, "review")
    return OPINIONS[verdict], body


def require_document(stage: Stage, text: str) -> None:
    """Raises UserError with the exact complaint when a stage's document is not what it must be."""
    if stage is Stage.PLAN:
        load_plan(text, ())
    elif stage is Stage.VALIDATE:
        load_review(text)
    else:
        require_short(text, str(stage))
