"""Showing things: outside text made harmless, columns, colours only where they belong."""

import json
import os
import shutil
import sys
import unicodedata
from typing import Any

from heddle.core.errors import UserError

COLOURS = {
    "landed": "32",
    "running": "36",
    "validating": "36",
    "queued": "36",
    "waiting": "33",
    "blocked": "35",
    "stopped": "90",
    "closed": "90",
    "claimed": "36",
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
    "closed": "✓",
    "claimed": "◌",
    "ready": "○",
    "open": "·",
    "unknown": "?",
}
_CONFINED = "seatbelt" if sys.platform == "darwin" else "landlock"
TIERS = {
    0: "sandbox: tier 0 (none): isolated by workspace only; agents can read and write what you can; see: heddle doctor",
    1: f"sandbox: tier 1 ({_CONFINED}): own files for each session; processes and loopback are shared; see: heddle doctor",
    2: "sandbox: tier 2 (box): own files, processes and network for each session; of your home only the tools on PATH",
    3: "sandbox: tier 3 (strong): a box, system calls by a list, no way out but to the agent's own hosts",
}
"""What encloses a session, for people."""

FULL = 2
"""From this tier on a board is silent about it, as long as nothing is lacking."""


def badge(told: dict[str, Any]) -> str:
    """What a board says of the sandbox; "" where that need not be said."""
    return "" if told["tier"] >= FULL and not told.get("lacks") else enclosure(told)


def enclosure(told: dict[str, Any]) -> str:
    """What encloses sessions, with what it lacks here."""
    lacks = clean(told.get("lacks", ""))  # a daemon of before does not say
    return TIERS[told["tier"]] + (f"; {lacks}" if lacks else "")


def clean(text: object) -> str:
    """Outside text without anything that could steer a terminal: control, format and bidi characters are shown."""
    return "".join(char if _is_plain(char) else _shown(char) for char in str(text))


def _shown(char: str) -> str:
    code = ord(char)
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


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
    return not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb" and stream.isatty()


def coloured(status: str, text: str) -> str:
    """A text in the colour of a status, where colour belongs."""
    code = COLOURS.get(status)
    return f"\x1b[{code}m{text}\x1b[0m" if code and in_colour() else text


def here() -> str:
    """The working folder. Raises UserError(slug="no-directory") when it is gone."""
    try:
        return os.getcwd()
    except FileNotFoundError as error:
        hint = "go to a folder that is there, or name one with --repo"
        raise UserError("the working folder does not exist any more", slug="no-directory", hint=hint) from error


def width() -> int:
    """Columns of the terminal; 100 when there is none and COLUMNS does not say."""
    return shutil.get_terminal_size((100, 24)).columns


def columns(text: str) -> int:
    """How many columns a cleaned text takes."""
    if text.isascii():
        return len(text)
    return sum(_cells(char) for char in text)


def _cells(char: str) -> int:
    if unicodedata.combining(char):
        return 0
    return 2 if unicodedata.east_asian_width(char) in "WF" else 1


def cut(text: str, room: int) -> str:
    """A text in at most so many columns."""
    if columns(text) <= room:
        return text
    kept, left = "", room - 1
    for char in text:
        left -= _cells(char)
        if left < 0:
            break
        kept += char
    return kept + "…"


def padded(text: str, room: int) -> str:
    """A text in exactly so many columns."""
    text = cut(text, room)
    return text + " " * (room - columns(text))


TRACKED = {"id": "ID", "priority": "P", "status": "STATUS", "title": "TASK", "why": "WHY"}


def tracker(rows: list[dict[str, Any]]) -> list[str]:
    """The tracker: a line per task with its priority, as wide as the terminal; TASK and WHY are cut."""
    if not rows:
        return ["no such tasks"]
    told = [TRACKED, *({**_cells_of(row), "priority": str(row["priority"])} for row in rows)]
    rooms = {name: max(columns(line[name]) for line in told) for name in TRACKED}
    room = max(24, width() - sum(rooms[name] for name in ("id", "priority", "status")) - 2 * (len(rooms) - 1))
    rooms["title"] = min(rooms["title"], max(12, room * 3 // 5, room - rooms["why"]))
    rooms["why"] = min(rooms["why"], room - rooms["title"])
    return [_line(line, rooms) for line in told]


HEAD = {"id": "ID", "status": "STATUS", "stage": "STAGE", "title": "TASK", "why": "WHY", "changed": "CHANGED"}


def board(rows: list[dict[str, Any]]) -> list[str]:
    """The board: a line per task, as wide as the terminal; what does not fit is cut in TASK and WHY only."""
    if not rows:
        return ['no tasks; begin with: heddle start "..."']
    told = [HEAD, *map(_cells_of, rows)]
    rooms = {name: max(columns(line[name]) for line in told) for name in HEAD}
    if not any(line["changed"] for line in told[1:]) or width() < 80:
        rooms.pop("changed")
    fixed = sum(room for name, room in rooms.items() if name not in ("title", "why")) + 2 * (len(rooms) - 1)
    room = max(24, width() - fixed)
    rooms["title"] = min(rooms["title"], max(12, room * 2 // 5, room - rooms["why"]))
    rooms["why"] = min(rooms["why"], room - rooms["title"])
    return [_line(line, rooms) for line in told]


def _cells_of(row: dict[str, Any]) -> dict[str, str]:
    stage = row["stage"] + (f" {row['attempt']}" if row["attempt"] > 1 else "")
    why = (row["why"].splitlines() or [""])[0]
    return {
        "id": clean(row["id"]),
        "status": f"{MARKS.get(row['status'], '?')} {clean(row['status'])}",
        "stage": clean(stage),
        "title": clean(row["title"]),
        "why": clean("".join(f"[{flag}] " for flag in row["flags"]) + why),
        "changed": clean(row["changed"]),
    }


def _line(cells: dict[str, str], rooms: dict[str, int]) -> str:
    shown = {name: padded(cells[name], room) for name, room in rooms.items()}
    shown["status"] = coloured(cells["status"][2:], shown["status"])
    return "  ".join(shown.values()).rstrip()


def item(told: dict[str, Any]) -> list[str]:
    """An inbox item with the commands that settle it."""
    lines = [f"{clean(told['task'])}  {clean(told['kind'])}: {clean(told['title'])}"]
    lines += [f"    {line}" for line in clean_block(told["text"]).splitlines()]
    if told["options"]:
        lines.append(f"    options: {', '.join(clean(option) for option in told['options'])}")
    if told["default"]:
        lines.append(f"    default: {clean(told['default'])}")
    if told["digest"]:
        lines.append(
            f"    {'question' if told['kind'] in ('question', 'frozen') else 'digest'}: {clean(told['digest'])}"
        )
    return lines + [f"      {clean(act)}" for act in told["act"]]


def rot(told: dict[str, Any]) -> list[str]:
    """How far a session has come apart from what is, with the reasons and what is done about each."""
    signs = [f"    {sign['points']:>3}  {clean(sign['text'])}; {clean(sign['means'])}" for sign in told["signs"]]
    unknown = [f"      ?  {clean(text)}" for text in told["unknown"]]
    return [f"rot of its session: {told['score']} of 100", *signs, *unknown]


def when(at: float) -> str:
    """A moment as local time of day."""
    import time

    return time.strftime("%H:%M:%S", time.localtime(at))
