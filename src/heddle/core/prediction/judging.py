"""What is believed of two tasks: the past's own measure where it is good, else names and folders alone."""

from collections.abc import Collection
from dataclasses import replace

from heddle.core.prediction.pairs import Meeting, meeting
from heddle.core.prediction.predictor import Likely, Prediction
from heddle.core.prediction.replay import Calibration

FOLDER = 0.2
"""The chance that two tasks meet which name files of one folder, where nothing more is known."""


def judged(one: Prediction, other: Prediction, calibration: Calibration) -> Meeting:
    """How likely two tasks change a file in common."""
    raw = meeting(one, other)
    if calibration.good:
        return replace(raw, chance=calibration.chance(raw.chance)) if raw.path else raw
    if raw.path:
        return raw
    shared = _folders(one) & _folders(other)
    return Meeting(FOLDER, f"{min(shared)}/") if shared else raw


def _folders(prediction: Prediction) -> set[str]:
    return {path.rpartition("/")[0] for path in prediction if "/" in path}


def touched(paths: Collection[str]) -> Prediction:
    """What a task did change is no prediction any more."""
    return {path: Likely(1.0, 0) for path in paths}
