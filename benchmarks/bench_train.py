"""How fast a burst of changes lands: the merge train against other strategies, in simulated queues of the same truth.

One unit is one validation. 50 changes at once, of which a share is broken, alone or with another; every strategy lands only
what was validated as a whole. See benchmarks/queue_world.py for the truth and the strategies.
"""

from typing import Any

from benchmarks.ground import row, say
from benchmarks.queue_world import STRATEGIES, Measured, measured, world

CHANGES = 50
WORLDS = {True: 20, False: 100}
RATES = {True: (0.05,), False: (0.0, 0.02, 0.05, 0.1, 0.2)}
WIDTHS = {True: (1, 2), False: (1, 2, 4, 8)}
BOUND = {1: 1.1, 2: 1.5, 4: 2.3}
"""At most so many times the information bound, at a rate of 0.05."""


def run(quick: bool) -> dict[str, Any]:
    """Rows with makespans in validations: ours against another strategy, or against the information bound."""
    rows: list[dict[str, Any]] = []
    for width in WIDTHS[quick]:
        for rate in RATES[quick]:
            truth = [world(CHANGES, rate, seed) for seed in range(WORLDS[quick])]
            told = {name: measured(name, width, truth) for name in STRATEGIES}
            rows += _rows(width, rate, told)
            say(f"W={width} p={rate}: {'; '.join(_line(name, one) for name, one in told.items())}")
    return {"name": "train", "rows": rows}


def _line(name: str, one: Measured) -> str:
    return f"{name} {one.makespan:.1f} (median {one.median:.1f}, {one.runs:.2f} runs each)"


def _rows(width: int, rate: float, told: dict[str, Measured]) -> list[dict[str, Any]]:
    ours, at = told["ours"], f"W={width} p={rate}"
    goals = {"serial": 0.37, "speculative window": 0.5} if (width, rate) == (2, 0.05) else {}
    rows = [
        row(f"{at}: makespan against {name}", one.makespan, ours.makespan, goals.get(name, 1.0))
        for name, one in told.items()
        if name != "ours"
    ]
    if rate == 0.05 and width in BOUND:
        rows.append(row(f"{at}: makespan against the information bound", ours.bound, ours.makespan, BOUND[width]))
    return rows
