"""What is known of one repository's landing queues, as a fold of its facts."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from heddle.core.events import Event
from heddle.core.gate import Colour
from heddle.core.queue_events import (
    ChangeEjected,
    MainFoundRed,
    TrainAborted,
    TrainDeparted,
    TrainJudged,
    TrainLanded,
)
from heddle.core.train import failure_rate

VERDICTS = 256
"""So many verdicts are remembered, the newest."""

FADING = 0.98
"""What each change that landed or left weighs when the next one does: the rate follows the last fifty or so."""


@dataclass(slots=True)
class LandingQueue:
    """`departed`: by branch, the landing that is under way. `red`: by branch, where it was found red. `number`: how many
    landings there were. `overtaken`: by task, how many landings of younger changes passed it by.
    """

    departed: dict[str, TrainDeparted] = field(default_factory=dict)
    red: dict[str, MainFoundRed] = field(default_factory=dict)
    overtaken: dict[str, int] = field(default_factory=dict)
    number: int = 0
    _verdicts: dict[tuple[str, str], TrainJudged] = field(default_factory=dict)
    _landed: float = 0.0
    _ejected: float = 0.0

    @property
    def verdicts(self) -> Mapping[tuple[str, str], TrainJudged]:
        """Verdicts by tree and recipe."""
        return self._verdicts

    @property
    def rate(self) -> float:
        """The chance that the next change breaks."""
        return failure_rate(self._landed, self._ejected)

    def take(self, event: Event) -> None:
        """One fact more."""
        match event:
            case TrainJudged():
                self._verdicts.pop((event.tree, event.recipe), None)
                self._verdicts[event.tree, event.recipe] = event
                if len(self._verdicts) > VERDICTS:
                    self._verdicts.pop(next(iter(self._verdicts)))
            case TrainDeparted(number, branch):
                self.departed[branch], self.number = event, max(self.number, number)
            case TrainAborted(_, branch):
                self.departed.pop(branch, None)
            case TrainLanded(_, branch, tasks, overtaken):
                self.departed.pop(branch, None)
                self._left(tasks, landed=len(tasks))
                self._verdicts = {of: one for of, one in self._verdicts.items() if one.colour is not Colour.UNKNOWN}
                self.overtaken.update({task: self.overtaken.get(task, 0) + 1 for task in overtaken})
            case ChangeEjected(_, task, tree, recipe):
                self._left((task,), landed=0)
                self._forget_unknown(tree, recipe)
            case MainFoundRed(branch):
                self.red[branch] = event
            case _:
                pass

    def _forget_unknown(self, tree: str, recipe: str) -> None:
        """What could not be told is tried again."""
        known = self._verdicts.get((tree, recipe))
        if known is not None and known.colour is Colour.UNKNOWN:
            del self._verdicts[tree, recipe]

    def _left(self, tasks: tuple[str, ...], landed: int) -> None:
        fading = FADING ** len(tasks)
        self._landed = self._landed * fading + landed
        self._ejected = self._ejected * fading + len(tasks) - landed
        for task in tasks:
            self.overtaken.pop(task, None)
