"""What was last found in each workspace, so that a look at one in which nothing happened costs next to nothing."""

from dataclasses import dataclass

from heddle.ports import Changes

SETTLING_NS = 2_000_000_000
"""Files younger than that may change once more and keep the times they have: the coarsest a file system may tell."""

MAPPED_NS = 60_000_000_000
"""What a program writes through a memory map shows in a file's times only once the kernel wrote the page down."""


@dataclass(frozen=True, slots=True)
class Stamp:
    """Facts, told from outside, of all that a look depends on. `youngest_ns`: the last change; `taken_ns`: when told."""

    digest: bytes
    youngest_ns: int
    taken_ns: int

    @property
    def age_ns(self) -> int:
        """How long nothing had changed when it was taken; less than nothing when the clock was set back."""
        return self.taken_ns - self.youngest_ns

    @property
    def is_settled(self) -> bool:
        """Whether what it is of cannot change once more and keep its times."""
        return self.age_ns > SETTLING_NS


@dataclass(frozen=True, slots=True)
class Look:
    """What was found, the reader's own words for it, and the stamp that it holds for; None: it holds for none."""

    changes: Changes
    told: bytes
    stamp: Stamp | None = None

    def holds(self, now: Stamp | None) -> bool:
        """Whether another look would find the same. In doubt it would not."""
        if self.stamp is None or now is None or self.stamp.digest != now.digest:
            return False
        passed_ns = now.taken_ns - self.stamp.taken_ns
        return self.stamp.age_ns > MAPPED_NS or 0 <= passed_ns < MAPPED_NS


def sure(before: Stamp | None, after: Stamp | None) -> Stamp | None:
    """The stamp of what was read between two, when nothing changed meanwhile nor could have unseen."""
    if before is None or after is None or before.digest != after.digest or not before.is_settled:
        return None
    return before
