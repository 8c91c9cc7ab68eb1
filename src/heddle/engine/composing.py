"""Composing changes upon a branch, one commit each, in objects alone. Nothing is composed twice."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from heddle.core.queue_events import Car
from heddle.core.run import Run
from heddle.core.train import Train
from heddle.ports import Conflicted, Repository

REMEMBERED = 2048


@dataclass(frozen=True, slots=True)
class Composition:
    """Changes upon a commit of the branch: `commit` ends them, and its tree is `tree`."""

    onto: str
    commit: str
    tree: str
    cars: tuple[Car, ...] = ()

    @property
    def train(self) -> Train:
        """Who is aboard, in order."""
        return tuple(car.task for car in self.cars)


class Composer:
    """Composes for one branch. What was composed is remembered by what it rests on."""

    def __init__(self, repository: Repository) -> None:
        self._repository = repository
        self._known: dict[tuple[str, str], Composition | Conflicted] = {}

    async def compose(self, onto: str, train: Train, runs: Mapping[str, Run]) -> Composition | Conflicted:
        """The whole train, or the conflict that its last member has with those before it."""
        composed: Composition | Conflicted = Composition(onto, onto, await self._repository.tree_of(onto))
        for id in train:
            if isinstance(composed, Conflicted):
                break
            composed = await self._with(composed, runs[id])
        return composed

    async def line(
        self, onto: str, ids: Sequence[str], runs: Mapping[str, Run]
    ) -> tuple[dict[Train, Composition], dict[str, Conflicted]]:
        """As many as go together, in their order, as every train that is a head of them; and the conflicts of those that do
        not go with the ones before them.
        """
        composed = Composition(onto, onto, await self._repository.tree_of(onto))
        heads, apart = dict[Train, Composition](), dict[str, Conflicted]()
        for id in ids:
            more = await self._with(composed, runs[id])
            if isinstance(more, Conflicted):
                apart[id] = more
            else:
                composed = heads[more.train] = more
        return heads, apart

    async def _with(self, below: Composition, run: Run) -> Composition | Conflicted:
        verdict, result = run.verdict, run.result
        if verdict is None or result is None:
            raise AssertionError("a run reaches the queue only with a result and a verdict")
        key = (below.commit, result.commit)
        known = self._known.get(key)
        if known is None:
            if len(self._known) >= REMEMBERED:
                self._known.clear()
            known = self._known[key] = await self._composed(below, run)
        if isinstance(known, Conflicted):
            return known
        return Composition(below.onto, known.commit, known.tree, (*below.cars, known.cars[-1]))

    async def _composed(self, below: Composition, run: Run) -> Composition | Conflicted:
        verdict, result, repository = run.verdict, run.result, self._repository
        if verdict is None or result is None:
            raise AssertionError("checked by the caller")
        if verdict.onto == below.commit:  # this very commit was validated
            commit, tree = verdict.candidate, verdict.tree
        else:
            merged = await repository.merge(below.commit, result.commit, run.base)
            if isinstance(merged, Conflicted):
                return merged
            text = await repository.message(verdict.candidate)  # as the commit hooks left it
            tree = merged.tree
            commit = await repository.commit(tree, [below.commit], text, as_person=True)
        return Composition(below.onto, commit, tree, (Car(run.task.id, result.commit, commit),))
