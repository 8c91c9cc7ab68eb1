"""What would let more tasks run at once: which file to cut up, which interface to write down, which part is too big."""

from collections import defaultdict
from dataclasses import dataclass

from heddle.core.map.chart import Chart, Tie
from heddle.core.map.hot import MEANS

TOO_BIG = 0.4
"""Of all work: a part that takes more holds the others up."""

_LEAST_COMMITS = 5
_MOST = 4


@dataclass(frozen=True, slots=True)
class Advice:
    """`kind`: hot, interface, hidden, part or history. `text`: what to do and why. `files`: what it is about."""

    kind: str
    text: str
    files: tuple[str, ...]


def advise(chart: Chart) -> tuple[Advice, ...]:
    """What to do, the most useful first."""
    found = [
        Advice(
            "hot",
            f"{hot.path}: {hot.share:.0%} of recent commits touch it ({hot.policy}): {MEANS[hot.policy]}",
            (hot.path,),
        )
        for hot in chart.hot[:_MOST]
    ]
    found += [_interface(chart, tie) for tie in chart.ties[:_MOST] if tie.commits >= _LEAST_COMMITS]
    for hidden in chart.hidden[:_MOST]:
        told = f"changed together in {hidden.commits} commits, and neither imports the other"
        text = f"{hidden.one} and {hidden.other}: {told}; say in code what ties them, or keep both in one task"
        found.append(Advice("hidden", text, (hidden.one, hidden.other)))
    for part in chart.parts:
        if part.share > TOO_BIG and len(chart.parts) > 1:
            within = defaultdict[str, int](int)
            for path in part.files:
                within[path.rpartition("/")[0] or "(top)"] += 1
            folders = sorted(within, key=lambda folder: (-within[folder], folder))[:3]
            text = (
                f"part {part.name} takes {part.share:.0%} of the work; cut it along its folders: {', '.join(folders)}"
            )
            found.append(Advice("part", text, part.files[:3]))
    if chart.modular is None:
        found.append(Advice("history", f"{chart.why}; ask again when there is more", ()))
    return tuple(found)


def _interface(chart: Chart, tie: Tie) -> Advice:
    one, other = chart.parts[tie.one].name, chart.parts[tie.other].name
    how = f"{tie.commits} common changes, most of {tie.files[0]} with {tie.files[1]}"
    text = f"write down the interface between {one} and {other}: {how}"
    return Advice("interface", f"{text}; {tie.imports} imports cross it", tie.files)
