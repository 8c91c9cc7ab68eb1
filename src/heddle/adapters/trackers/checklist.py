"""Checklists in Markdown: items with boxes, what belongs to each, and under which heading and item they stand.

As CommonMark has it where that matters for lists: nesting by indentation, fenced and indented code and comments are no
items. Nothing is lost without a word: what is no item belongs to the item that it stands under, or to none.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

from heddle.core.errors import UserError

BEGIN = "<!-- heddle:tasks begin -->"
END = "<!-- heddle:tasks end -->"
"""Between these lines of a Markdown file stand tasks of ours: they are written, and never read."""

LINE_LIMIT = 500_000

_BULLET = re.compile(r"(?P<indent> *)(?:[-*+]|\d{1,9}[.)])(?: +(?:\[(?P<box>[ xX])\](?: +|$))?|$)(?P<rest>.*)")
_FENCE = re.compile(r" *(?P<mark>`{3,}|~{3,})(?P<info>.*)")
_HEADING = re.compile(r" {0,3}(?P<level>#{1,6})(?: (?P<title>.*))?")
_RULE = re.compile(r" {0,3}(?:(?:- *){3,}|(?:\* *){3,}|(?:_ *){3,}|=+ *)")
_TITLE_LIMIT = 2_000


@dataclass(slots=True)
class Item:
    """One item of a list. `line` counts from 1; `under` is the nearest item above it that has a box, too."""

    line: int
    indent: int
    box: bool
    checked: bool
    title: str
    headings: tuple[str, ...]
    under: "Item | None"
    body: list[str] = field(default_factory=list)

    @property
    def text(self) -> str:
        """What belongs to it beyond its title, without the indentation that all of it has."""
        filled = [line for line in self.body if line.strip()]
        margin = min((len(line) - len(line.lstrip(" ")) for line in filled), default=0)
        return "\n".join(line[margin:] for line in self.body).strip("\n")


def items(text: str) -> tuple[Item, ...]:
    """The items with boxes, in order. Raises UserError: broken-block when our own block in it is broken, list-too-large."""
    if text.count("\n") > LINE_LIMIT:
        raise UserError(f"a list of more than {LINE_LIMIT} lines is none", slug="list-too-large", hint="split it")
    lines = [line.expandtabs(4).rstrip() for line in re.split(r"\r\n?|\n", text)]
    ours = managed(lines)
    scan = _Scan()
    for number, line in enumerate(lines, 1):
        if ours is None or not ours[0] <= number - 1 <= ours[1]:
            scan.take(number, line)
    return tuple(scan.found)


def managed(lines: list[str]) -> tuple[int, int] | None:
    """The first and the last line of our block, its markers, counted from 0; None without one."""
    begins = [at for at, line in enumerate(lines) if line.strip() == BEGIN]
    ends = [at for at, line in enumerate(lines) if line.strip() == END]
    if not begins and not ends:
        return None
    if len(begins) == len(ends) == 1 and begins[0] < ends[0]:
        return begins[0], ends[0]
    places = ", ".join(
        [f"begins on line {at + 1}" for at in begins] + [f"ends on line {at + 1}" for at in ends],
    )
    raise UserError(
        f"the block of Heddle's tasks is broken: it {places}",
        slug="broken-block",
        hint=f"leave one '{BEGIN}' and after it one '{END}', or neither",
    )


class _Scan:
    """Goes through the lines once. `open` are the items that a line may still belong to, outermost first."""

    def __init__(self) -> None:
        self.found: list[Item] = []
        self.open: list[Item] = []
        self.headings: list[tuple[int, str]] = []
        self.fence = ""
        self.comment = False
        self.joins = False  # the line before was of an item's first paragraph
        self.blank = True

    def take(self, number: int, line: str) -> None:
        if self.fence or self.comment:
            self._through(line)
        elif not line.strip():
            self._keep(line)
            self.joins, self.blank = False, True
            return
        elif fence := _FENCE.fullmatch(line):
            self._fence(line, fence)
        elif line.lstrip().startswith("<!--"):
            self._keep_or_close(line)
            self.comment = "-->" not in line
        elif heading := _HEADING.fullmatch(line):
            self._heading(heading)
        elif _RULE.fullmatch(line):
            self._keep_or_close(line)
        elif bullet := _BULLET.fullmatch(line):
            self._bullet(number, line, bullet)
        else:
            self._words(line)
        self.blank = False

    def _through(self, line: str) -> None:
        self._keep(line)
        if self.comment:
            self.comment = "-->" not in line
        elif line.strip().startswith(self.fence) and not line.strip().strip(self.fence[0]):
            self.fence = ""

    def _fence(self, line: str, fence: re.Match[str]) -> None:
        if "`" in fence["info"] and fence["mark"][0] == "`":  # code within one line
            self._words(line)
            return
        self._keep_or_close(line)
        self.fence = fence["mark"]

    def _heading(self, heading: re.Match[str]) -> None:
        level, title = len(heading["level"]), (heading["title"] or "").strip(" #")
        self.headings = [one for one in self.headings if one[0] < level] + [(level, title)]
        self.open, self.joins = [], False

    def _bullet(self, number: int, line: str, bullet: re.Match[str]) -> None:
        indent = len(bullet["indent"])
        if indent >= 4 and not self.open:  # code that is indented
            self.joins = False
            return
        while self.open and indent < self.open[-1].indent + 2:
            self.open.pop()
        under = next((one for one in reversed(self.open) if one.box), None)
        box = bullet["box"]
        headings = tuple(title for _, title in self.headings if title)
        checked = box is not None and box != " "
        item = Item(number, indent, box is not None, checked, bullet["rest"].strip(), headings, under)
        if item.box:
            self.found.append(item)
        elif under is not None:
            under.body.append(line)
        self.open.append(item)
        self.joins = item.box

    def _words(self, line: str) -> None:
        """A line of a paragraph: of the item that it is indented under, or that it goes on with."""
        lazy = not self.blank and bool(self.open)
        indent = len(line) - len(line.lstrip(" "))
        if not lazy:
            while self.open and indent < self.open[-1].indent + 2:
                self.open.pop()
        if not self.open:
            self.joins = False
            return
        if self.joins and self.open[-1].box:
            item = self.open[-1]
            if len(item.title) < _TITLE_LIMIT:
                item.title = f"{item.title} {line.strip()}".strip()
                return
        self._keep(line)

    def _keep_or_close(self, line: str) -> None:
        """What may stand in an item when it is indented, and ends the list when it is not."""
        indent = len(line) - len(line.lstrip(" "))
        while self.open and indent < self.open[-1].indent + 2:
            self.open.pop()
        self.joins = False
        self._keep(line)

    def _keep(self, line: str) -> None:
        owner = next((one for one in reversed(self.open) if one.box), None)
        if owner is not None:
            owner.body.append(line)


def sections(text: str) -> Iterator[tuple[str, str]]:
    """The sections of second level of a Markdown text, and what stands under each."""
    title, fence = "", ""
    held: list[str] = []
    for line in re.split(r"\r\n?|\n", text):
        mark = _FENCE.fullmatch(line)
        if fence:
            fence = "" if mark and mark["mark"].startswith(fence) else fence
        elif mark:
            fence = mark["mark"]
        elif line.startswith("## "):
            yield title, "\n".join(held).strip("\n")
            title, held = line[3:].strip(), []
            continue
        held.append(line)
    yield title, "\n".join(held).strip("\n")
