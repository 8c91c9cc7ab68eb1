"""Showing things: outside text made harmless, columns, colours only where they belong."""

import json
import os
import shutil
import sys
import unicodedata
from typing import Any

COLOURS = {
    "landed": "32",
    "running": "36",
    "validating": "36",
    "queued": "36",
    "waiting": "33",
    "blocked": "35",
    "stopped": "90",
    "unknown": "31",
}
MARKS = {
    "landed": "✓",
    "running": "●",
    "validating": "●",
    "queued": "◌",
    "waiting": "!",
    "blocked": "⊘",
    "stopped": "×",
    "ready": "○",
    "open": "·",
    "unknown": "?",
}
TIER = "sandbox: tier 0 (none): isolated by workspace only; agents can read and write what you can"


def clean(text: object) -> str:
    """Outside text without anything that could steer a terminal: control, format and bidi characters are shown."""
    return "".join(char if _is_plain(char) else f"\\x{ord(char):02x}" for char in str(text))


def _is_plain(char: str) -> bool:
    return unicodedata.category(char) not in ("Cc", "Cf", "Cs", "Co", "Zl", "Zp")


def clean_block(text: str) -> str:
    """Outside text of several lines made harmless."""
    return "\n".join(clean(line.replace("\t", "    ")) for line in text.splitlines())


def say(*lines: str) -> None:
    """Lines of the answer."""
    sys.stdout.write("".join(f"{line}\n" for line in lines))


def narrate(*lines: str) -> None:
    """Lines beside the answer."""
    sys.stderr.write("".join(f"{line}\n" for line in lines))


def answer(value: dict[str, Any]) -> int:
    """The whole answer as JSON."""
    say(json.dumps(value))
    return 0


def in_colour(stream: Any = None) -> bool:
    """Whether colour belongs there: a terminal, and nobody said no."""
    stream = stream or sys.stdout
    return "NO_COLOR" not in os.environ and os.environ.get("TERM") != "dumb" and stream.isatty()


def coloured(status: str, text: str) -> str:
    """A text in the colour of a status, where colour belongs."""
    code = COLOURS.get(status)
    return f"\x1b[{code}m{text}\x1b[0m" if code and in_colour() else text


def width() -> int:
    """Columns of the terminal."""
    return shutil.get_terminal_size((100, 24)).columns


def cut(text: str, room: int) -> str:
    """A text in so many columns."""
    return text if len(text) <= room else text[: max(0, room - 1)] + "…"


def board(rows: list[dict[str, Any]]) -> list[str]:
    """The board: a line per task, as wide as the terminal."""
    if not rows:
        return ['no tasks; begin with: heddle start "..."']
    id_room = max(len(row["id"]) for row in rows)
    status_room = max(10, *(len(row["status"]) + 2 for row in rows))
    room = width() - id_room - status_room - 12
    title_room = max(16, min(44, room * 2 // 5))
    lines = []
    for row in rows:
        status = f"{MARKS.get(row['status'], '?')} {row['status']}"
        title = cut(clean(row["title"]), title_room)
        why = cut(clean(row["why"]), max(10, room - title_room))
        shown = coloured(row["status"], f"{status:<{status_room}}")
        lines.append(f"{row['id']:<{id_room}}  {shown}  {row['stage']:<8}  {title:<{title_room}}  {why}".rstrip())
    return lines


def item(told: dict[str, Any]) -> list[str]:
    """An inbox item with the commands that settle it."""
    lines = [f"{told['task']}  {told['kind']}: {clean(told['text'])}", f"    {clean(told['title'])}"]
    if told["options"]:
        shown = ", ".join(clean(option) for option in told["options"])
        lines.append(f"    options: {shown} (default: {clean(told['default'])})")
    return lines + [f"    {act}" for act in told["act"]]


def when(at: float) -> str:
    """A moment as local time of day."""
    import time

    return time.strftime("%H:%M:%S", time.localtime(at))
