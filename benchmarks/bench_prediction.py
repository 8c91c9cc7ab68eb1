"""How well it is predicted which tasks will meet: the past of repositories, replayed; each task is predicted from what came before.

Replayed are a generated history of which the truth is known, this repository, and those whose checkouts the variable
HEDDLE_BENCH_REPOSITORIES names, with ":" between. A commit's message stands for the words of a task; "named" is the same with one of
its source files named, as a person does who knows where it belongs.
"""

import asyncio
import os
import random
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from heddle.adapters.git import open_repository
from heddle.adapters.git.history import touched
from heddle.core.map.history import ENOUGH, Commit, useful
from heddle.core.prediction.pairs import meeting
from heddle.core.prediction.replay import Tried, area, pairs, replayed

CHOSEN = 8
WINDOW = 30
"""Tasks among which is chosen."""

GOAL_PAIRS = 0.25
GOAL_MISRANKED = 0.24
"""Of chance: an area of 0.88 under the curve."""


def run(quick: bool) -> dict[str, Any]:
    """Rows with `ours` and `baseline`; `ratio` should be at most `goal`. "Misranked": 1 - AUC, of which chance has 0.5."""
    rows = []
    last = 150 if quick else 600
    for name, commits in histories():
        for named in (False, True):
            tried = replayed(commits, last, name_one=named)
            what = f"{name}, {'one file named' if named else 'words alone'}"
            missed = 1 - area(pairs(tried, WINDOW))
            rows.append(_row(f"{what}: misranked pairs (AUC {1 - missed:.2f})", 0.5, missed, GOAL_MISRANKED))
            ours, chance = chosen(tried)
            rows.append(_row(f"{what}: overlapping pairs among {CHOSEN}", chance, ours, GOAL_PAIRS))
    return {"name": "prediction", "rows": rows}


def _row(what: str, baseline: float, ours: float, goal: float) -> dict[str, Any]:
    return {
        "what": what,
        "baseline": baseline,
        "ours": ours,
        "ratio": ours / baseline if baseline else 1.0,
        "goal": goal,
    }


def histories() -> Iterator[tuple[str, list[Commit]]]:
    """Names and pasts, newest commit first; a past that is too short is left out."""
    yield "generated", generated(1_200)
    named = os.environ.get("HEDDLE_BENCH_REPOSITORIES", "").split(":")
    for path in (Path(__file__).parents[1], *(Path(one) for one in named if one)):
        commits = useful(asyncio.run(_past(path)))
        if len(commits) >= ENOUGH:
            yield path.name, commits


async def _past(path: Path) -> Any:
    repository = await open_repository(path)
    return await touched(repository.store, await repository.resolve("HEAD"))


def generated(count: int) -> list[Commit]:
    """Forty parts of six files with words of their own; one commit in five strays into another part, one word in three is
    that of ten parts.
    """
    chance = random.Random(1)
    made = []
    for number in range(count):
        part, other = chance.sample(range(40), 2)
        files = [f"src/part{part}/{name}.py" for name in chance.sample("abcdef", 2)]
        files += [f"src/part{other}/a.py"] if chance.random() < 0.2 else []
        own = "".join(chr(ord("a") + digit) for digit in divmod(part, 10))
        words = [f"{chance.choice(('word', 'term', 'name'))}{own}" for _ in range(2)] + [f"common{own[0]}"]
        made.append(Commit(str(number), " ".join(words), tuple(files)))
    return made[::-1]


def chosen(tried: Sequence[Tried]) -> tuple[float, float]:
    """Pairs that met among those chosen by their predictions, and among as many chosen at random; each on average."""
    ours, chance, rounds = 0.0, 0.0, 0
    for start in range(0, len(tried) - WINDOW, WINDOW // 2):
        window = tried[start : start + WINDOW]
        ours += _met([window[place] for place in choose(window)])
        chance += _met(window) * CHOSEN * (CHOSEN - 1) / (WINDOW * (WINDOW - 1))
        rounds += 1
    return (ours / rounds, chance / rounds) if rounds else (0.0, 0.0)


def choose(window: Sequence[Tried]) -> list[int]:
    """The first, and then always the one that is least likely to meet those that were taken."""
    taken, cost = [0], dict.fromkeys(range(1, len(window)), 0.0)
    while len(taken) < CHOSEN:
        for place in cost:
            cost[place] += meeting(window[taken[-1]].prediction, window[place].prediction).chance
        best = min(cost, key=lambda place: (cost[place], place))
        del cost[best]
        taken.append(best)
    return taken


def _met(tasks: Sequence[Tried]) -> int:
    return sum(not one.paths.isdisjoint(other.paths) for n, one in enumerate(tasks) for other in tasks[n + 1 :])
