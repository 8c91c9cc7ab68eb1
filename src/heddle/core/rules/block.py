"""The one block that Heddle keeps in AGENTS.md, and putting it there without touching anything else."""

import re

from heddle.core.errors import UserError

BEGIN = "<!-- heddle:rules begin -->"
END = "<!-- heddle:rules end -->"
MOST_LINES = 25
MOST_COMMANDS = 5

_MARK = re.compile(r"<!--\s*heddle:rules\s+(begin|end)\b[^\n]*?-->")
_PLAIN = re.compile(r"[^`\x00-\x1f\x7f]{1,160}")


def span(text: str, path: str) -> tuple[int, int] | None:
    """Where the block is, marks included; None when there is none.

    Raises UserError(slug="broken-fence") that names the line when its marks do not pair.
    """
    marks = list(_MARK.finditer(text))
    wanted = ("begin", "end")
    for found, kind in zip(marks, wanted, strict=False):
        if found[1] != kind:
            raise _broken(text, found.start(), path, f"an '{found[1]}' where a '{kind}' belongs")
    if len(marks) > len(wanted):
        raise _broken(text, marks[2].start(), path, "a second block")
    if len(marks) == 1:
        raise _broken(text, marks[0].start(), path, "a 'begin' without an 'end'")
    return (marks[0].start(), marks[1].end()) if marks else None


def _broken(text: str, at: int, path: str, what: str) -> UserError:
    line = text.count("\n", 0, at) + 1
    return UserError(
        f"the block of Heddle in {path} is broken: line {line} has {what}",
        slug="broken-fence",
        hint=f"let it begin with {BEGIN} and end with {END}, once each; or remove both",
        line=line,
    )


def with_block(text: str, block: str, path: str = "AGENTS.md") -> str:
    """The text with this block in the place of the one that is there, else at its end. Everything else stays as it is, and
    the block takes the line endings of the text. Raises UserError(slug="broken-fence").
    """
    ending = "\r\n" if "\r\n" in text else "\n"
    inner = block.replace("\n", ending)
    found = span(text, path)
    if found:
        return text[: found[0]] + inner + text[found[1] :]
    apart = "" if not text else ending if text.endswith("\n") else ending * 2
    return f"{text}{apart}{inner}{ending}"


def outside(text: str, path: str = "AGENTS.md") -> str:
    """All but the block, line endings and closing blank lines aside. Raises UserError(slug="broken-fence")."""
    found = span(text, path)
    rest = text[: found[0]] + text[found[1] :] if found else text
    return rest.replace("\r\n", "\n").rstrip()


def content(setup: tuple[str, ...], checks: tuple[str, ...]) -> str:
    """The block for a repository that names these commands: what sessions that work side by side need to know."""
    lines = [
        BEGIN,
        "## Working beside other sessions",
        "",
        "Kept by Heddle (`heddle rules sync`); what is written between these marks is replaced.",
        "",
        "- One task per workspace. Stay within the scope of your plan; other sessions change the rest at the same time.",
        "- Do not switch branches, rewrite history, or push: Heddle collects what lies in the workspace and lands it.",
        "- Keep handoffs and notes short: what changed, what is left, what surprised you.",
        *_commands("A fresh workspace is made ready by", setup),
        *_commands("Nothing lands unless these pass", checks),
        "- Edited tests, CI files and `heddle.toml` are looked at before they land: change them only if the task asks for it.",
        END,
    ]
    return "\n".join(lines)


def _commands(told: str, named: tuple[str, ...]) -> list[str]:
    """Commands as a list; one that cannot stand in a line is only counted."""
    if not named:
        return []
    shown = [command for command in named if _PLAIN.fullmatch(command)][:MOST_COMMANDS]
    left = len(named) - len(shown)
    more = [f"  - and {left} more in `heddle.toml`"] if left else []
    return [f"- {told}:", *(f"  - `{command}`" for command in shown), *more]
