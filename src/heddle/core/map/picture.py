"""The map as one SVG picture. The same map gives the same picture, byte for byte; nothing in it runs or is loaded."""

import math
from collections.abc import Iterable, Sequence

from heddle.core.map.chart import Chart
from heddle.core.map.hot import Policy
from heddle.core.map.parts import Part

WIDE = 1280
_LEFT = 850
"""Where the lists begin, right of the parts."""

_TOP = 96
_MOST_PARTS = 14
_MOST_LINES = 18
_MOST_DOTS = 40
_COLOURS = ("#3b6ea8", "#c2703d", "#4f8f5b", "#8a5a9e", "#b5525c", "#5f7f8c", "#a08a2e", "#6a6fb0")
_POLICY = {
    Policy.FRAGMENTS: "#4f8f5b",
    Policy.REGENERATE: "#5f7f8c",
    Policy.UNION: "#3b6ea8",
    Policy.SPLIT: "#b5525c",
}

Circle = tuple[float, float, float]
"""Middle and radius."""


def picture(chart: Chart, title: str) -> str:
    """The map for people: parts as circles as large as their work, ties as lines, hot files and hidden coupling beside."""
    shown = chart.parts[:_MOST_PARTS]
    circles = _settled(shown)
    low = max((y + r for _, y, r in circles), default=0.0)
    listed, end = _lists(chart)
    high = math.ceil(max(low + 70, end + 40, 420))
    drawn = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDE}" height="{high}" viewBox="0 0 {WIDE} {high}" '
        'font-family="system-ui, sans-serif">',
        f'<rect width="{WIDE}" height="{high}" fill="#fbfaf8"/>',
        _text(32, 42, title, 22, weight=600),
        _text(32, 68, _verdict(chart), 14, "#555"),
        *_lines(chart, circles),
        *(one for number, part in enumerate(shown) for one in _part(part, circles[number], number)),
        _text(32, high - 22, _foot(chart), 12, "#777"),
        *listed,
        "</svg>",
    ]
    return "\n".join(drawn) + "\n"


def _verdict(chart: Chart) -> str:
    told = {True: f"modular, about {chart.at_once} tasks at once", False: "not modular", None: "nobody can tell yet"}
    return f"{told[chart.modular]}: {chart.why}"


def _foot(chart: Chart) -> str:
    more = len(chart.parts) - _MOST_PARTS
    smaller = f"; {more} smaller parts are not drawn" if more > 0 else ""
    return f"{chart.commits} commits, {chart.files} files, {chart.loose} of them in no part{smaller}"


def _settled(parts: Sequence[Part]) -> list[Circle]:
    """Circles that do not touch, the largest in the middle, each as near to it as it can be; then moved into the frame."""
    largest = max((part.share for part in parts), default=0.0) or 1.0
    placed: list[Circle] = []
    for part in parts:
        radius = 36 + 96 * math.sqrt(part.share / largest)
        placed.append(next(one for one in _places(radius) if all(_clear(one, other) for other in placed)))
    left = min((x - r for x, _, r in placed), default=0.0)
    top = min((y - r for _, y, r in placed), default=0.0)
    right = max((x + r for x, _, r in placed), default=0.0)
    scale = min(1.0, (_LEFT - 80) / max(1.0, right - left))
    return [(32 + (x - left) * scale, _TOP + (y - top) * scale, r * scale) for x, y, r in placed]


def _places(radius: float) -> Iterable[Circle]:
    """Ever farther round the middle; wide rather than high."""
    step = 0
    while True:
        angle, far = step * 0.35, 3.0 * step * 0.35
        yield (far * math.cos(angle) * 1.15, far * math.sin(angle) * 0.85, radius)
        step += 1


def _clear(one: Circle, other: Circle) -> bool:
    return math.dist(one[:2], other[:2]) > one[2] + other[2] + 26


def _lines(chart: Chart, circles: Sequence[Circle]) -> list[str]:
    ties = [tie for tie in chart.ties if max(tie.one, tie.other) < len(circles) and tie.commits][:_MOST_LINES]
    most = max((tie.commits for tie in ties), default=1)
    drawn = []
    for tie in ties:
        (ax, ay, _), (bx, by, _) = circles[tie.one], circles[tie.other]
        width = 1 + 9 * math.sqrt(tie.commits / most)
        drawn.append(
            f'<line x1="{ax:.1f}" y1="{ay:.1f}" x2="{bx:.1f}" y2="{by:.1f}" stroke="#b9b2a6" '
            f'stroke-width="{width:.1f}" stroke-opacity="0.55"/>'
        )
    return drawn


def _part(part: Part, circle: Circle, number: int) -> list[str]:
    """A circle, a dot for each of its busiest files, its name, and what it holds."""
    x, y, r = circle
    colour = _COLOURS[number % len(_COLOURS)]
    drawn = [f'<circle cx="{x:.1f}" cy="{y:.1f}" r="{r:.1f}" fill="#fbfaf8"/>']
    drawn.append(
        f'<circle cx="{x:.1f}" cy="{y:.1f}" r="{r:.1f}" fill="{colour}" fill-opacity="0.16" stroke="{colour}" '
        'stroke-width="2"/>'
    )
    for place, path in enumerate(part.files[:_MOST_DOTS]):  # as the seeds of a sunflower lie
        far, angle = (r - 7) * math.sqrt((place + 0.5) / _MOST_DOTS), place * 2.39996
        at = (x + far * math.cos(angle), y + far * math.sin(angle), 4.5 - 2.5 * place / _MOST_DOTS)
        drawn.append(
            f'<circle cx="{at[0]:.1f}" cy="{at[1]:.1f}" r="{at[2]:.1f}" fill="{colour}" fill-opacity="0.45">'
            f"<title>{_xml(path)}</title></circle>"
        )
    folder, _, first = part.name.partition(": ")
    told = f"{part.share:.0%} of work, {len(part.files)} files" if r > 70 else f"{part.share:.0%}"
    room = int(2 * r / 8) + 1
    lines = [(_tail(folder, room), 13, "#222", 600), (_tail(first, room), 12, "#222", 600), (told, 11, "#444", 400)]
    for place, (line, size, fill, weight) in enumerate(line for line in lines if line[0]):
        drawn.append(_text(x, y - 4 + 16 * place, line, size, fill, anchor="middle", weight=weight, halo=True))
    return drawn


def _lists(chart: Chart) -> tuple[list[str], float]:
    """Hot files with bars, and hidden coupling; and where they end."""
    y, drawn = float(_TOP), []
    if chart.hot:
        drawn.append(_text(_LEFT, y, "Hot files: what would let many touch them", 14, weight=600))
        most = chart.hot[0].share
        for hot in chart.hot[:10]:
            y += 32
            drawn.append(_text(_LEFT, y, _tail(hot.path, 48), 12))
            told = f"{hot.share:.0%}  {hot.policy}"
            width = 240 * hot.share / most
            drawn.append(
                f'<rect x="{_LEFT}" y="{y + 4:.0f}" width="{width:.0f}" height="8" fill="{_POLICY[hot.policy]}"/>'
            )
            drawn.append(_text(_LEFT + width + 8, y + 12, told, 11, "#555"))
        y += 52
    if chart.hidden:
        drawn.append(_text(_LEFT, y, "Hidden coupling: changed together, no import", 14, weight=600))
        for hidden in chart.hidden[:8]:
            y += 34
            drawn.append(_text(_LEFT, y - 6, _tail(hidden.one, 50), 12))
            drawn.append(_text(_LEFT + 10, y + 9, f"{_tail(hidden.other, 46)}  ({hidden.commits} commits)", 12, "#555"))
        y += 15
    return drawn, y


def _tail(text: str, room: int) -> str:
    """The end of a name says more than its beginning."""
    return text if len(text) <= room else f"…{text[-room + 1 :]}"


def _text(
    x: float,
    y: float,
    told: str,
    size: int,
    fill: str = "#222",
    *,
    anchor: str = "start",
    weight: int = 400,
    halo: bool = False,
) -> str:
    around = ' stroke="#fbfaf8" stroke-width="3" paint-order="stroke"' if halo else ""
    return (
        f'<text x="{x:.1f}" y="{y:.1f}" font-size="{size}" fill="{fill}" text-anchor="{anchor}" '
        f'font-weight="{weight}"{around}>{_xml(told)}</text>'
    )


def _xml(text: str) -> str:
    """Outside text that ends no element and holds nothing that XML forbids."""
    plain = "".join(char if _allowed(ord(char)) else "\N{REPLACEMENT CHARACTER}" for char in text)
    return plain.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _allowed(code: int) -> bool:
    """No control character, no surrogate, nothing that turns the direction of writing."""
    turns = 0x202A <= code <= 0x202E or 0x2066 <= code <= 0x2069
    return code >= 32 and not 0x7F <= code <= 0x9F and not 0xD800 <= code <= 0xDFFF and code < 0xFFFE and not turns
