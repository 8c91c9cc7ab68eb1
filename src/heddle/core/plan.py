"""The document that binds: what will be written, and which commands must pass."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from heddle.core.errors import UserError
from heddle.core.scope import Scope, require_scope

MAX_LINES = 200
"""A document that a person is to read and judge is at most this long."""

MANUAL = "manual:"


@dataclass(frozen=True, slots=True)
class Question:
    """A question of a plan, with the answer that holds when nobody gives another."""

    text: str
    default: str
    options: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Plan:
    """Scope, checks and questions, and the text that people read. A check is a shell command, or `manual: ...`."""

    scope: Scope
    checks: tuple[str, ...]
    text: str
    questions: tuple[Question, ...] = ()

    @property
    def commands(self) -> tuple[str, ...]:
        """The checks that Heddle can run."""
        return tuple(check for check in self.checks if not check.startswith(MANUAL))

    @property
    def manual(self) -> tuple[str, ...]:
        """The checks that only a person can make."""
        return tuple(check for check in self.checks if check.startswith(MANUAL))


def digest(plan: Plan, base: str) -> str:
    """What an approval is bound to: plan, scope, checks, questions and base commit; any change gives another."""
    bound = [
        plan.text,
        list(plan.scope.globs),
        list(plan.checks),
        [[question.text, question.default, list(question.options)] for question in plan.questions],
        base,
    ]
    return hashlib.sha256(json.dumps(bound, ensure_ascii=True).encode()).hexdigest()[:16]


def require_plan(front: Mapping[str, object], text: str) -> Plan:
    """The plan of a front matter and its text. Raises UserError(slug="malformed-plan") with the exact complaint."""
    unknown = sorted(set(front) - {"scope", "checks", "questions", "base"})
    if unknown:
        raise _malformed(f"unknown key '{unknown[0]}' in the front matter; allowed are scope, checks, questions")
    scope = _strings(front, "scope")
    if not scope:
        raise _malformed("the front matter has no 'scope'; list the globs that may be written")
    checks = _strings(front, "checks")
    for check in checks:
        if "\n" in check or "\0" in check:
            raise _malformed(f"check {check[:40]!a} has more than one line")
    require_short(text, "plan")
    try:
        checked = require_scope(scope)
    except UserError as error:
        raise _malformed(error.message) from error
    return Plan(checked, tuple(dict.fromkeys(checks)), text, _questions(front.get("questions", ())))


def require_short(text: str, name: str) -> None:
    """Raises UserError(slug="malformed-<name>") when a document is empty or longer than MAX_LINES."""
    lines = len(text.splitlines())
    if not text.strip():
        raise _malformed(f"the {name} is empty", name)
    if lines > MAX_LINES:
        raise _malformed(f"the {name} has {lines} lines; at most {MAX_LINES} are allowed", name)


def _strings(front: Mapping[str, object], key: str) -> tuple[str, ...]:
    value = front.get(key, [])
    if not isinstance(value, list) or not all(isinstance(item, str) and item.strip() for item in value):
        raise _malformed(f"'{key}' must be a list of strings")
    return tuple(item.strip() for item in value)


def _questions(value: object) -> tuple[Question, ...]:
    if not isinstance(value, list | tuple):
        raise _malformed("'questions' must be a list of tables")
    return tuple(_question(item) for item in value)


def _question(item: object) -> Question:
    if not isinstance(item, Mapping) or not {"text", "default"} <= set(item) <= {"text", "default", "options"}:
        raise _malformed("each question needs 'text' and 'default' (and may have 'options')")
    options: Sequence[object] = item.get("options", [])
    if not isinstance(options, list) or not all(isinstance(option, str) for option in options):
        raise _malformed("'options' of a question must be a list of strings")
    return Question(str(item["text"]), str(item["default"]), tuple(str(option) for option in options))


def _malformed(complaint: str, name: str = "plan") -> UserError:
    return UserError(complaint, slug=f"malformed-{name}", hint="mend the document and hand it in again")
