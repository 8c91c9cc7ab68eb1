"""Land: move the branch to exactly the commit whose tree was validated, or say why not."""

from heddle.core import events as e
from heddle.core.errors import MACHINE, HeddleError
from heddle.core.run import Run
from heddle.core.task import Stage
from heddle.engine.runs import Runs
from heddle.engine.site import Site
from heddle.ports import Advanced, Blocked, MovedOn


class LandingStep:
    """One landing of one run; carried out again after a crash it finishes what was begun."""

    def __init__(self, runs: Runs, site: Site, run: Run) -> None:
        self.runs, self.site, self.task = runs, site, run.task.id
        self.attempt = run.attempt(Stage.LAND)

    async def play(self) -> None:
        """To a recorded Landed, MainMoved or a hold. Raises what the machine lacks (errors.MACHINE)."""
        try:
            await self._land(self.runs.require(self.task))
        except HeddleError as error:
            if error.slug in MACHINE:
                raise
            failed = e.StageFailed(Stage.LAND, self.attempt, error.slug, error.message, error.hint)
            await self.runs.record(self.task, failed)

    async def _land(self, run: Run) -> None:
        verdict, repository, branch = run.verdict, self.site.repository, run.task.branch
        if verdict is None:
            raise AssertionError("a run reaches landing only with a verdict")
        tip = await repository.resolve(f"refs/heads/{branch}")
        if tip not in (verdict.onto, verdict.candidate):
            await self.runs.record(self.task, e.MainMoved(tip))
            return
        problem = await self._doubt(run)
        if problem:
            await self.runs.record(self.task, e.RunHeld("unvalidated", problem))
            return
        if run.landing is None:
            number = 1 + sum(other.landed is not None for other in self.runs.all())
            await self.runs.record(
                self.task, e.LandingStarted(number, branch, verdict.onto, verdict.candidate, verdict.tree)
            )
        record = f"refs/heddle/landed/{run.task.id.lower()}-{run.number}"
        match await repository.advance(branch, verdict.onto, verdict.candidate, record):
            case Advanced(checkout):
                await self.runs.record(self.task, e.Landed(verdict.candidate, branch, checkout))
            case MovedOn(actual):
                await self.runs.record(self.task, e.MainMoved(actual))
            case Blocked(paths, detail):
                told = f"the checkout of '{branch}' has changes that the landing touches: {', '.join(paths[:5])}"
                await self.runs.record(self.task, e.RunHeld("checkout-overlap", told if paths else detail))

    async def _doubt(self, run: Run) -> str:
        """What speaks against landing the candidate: it must be the validated tree on the validated commit, byte for
        byte, and differ from it in the result's own paths alone."""
        verdict, result, repository = run.verdict, run.result, self.site.repository
        if verdict is None or result is None:
            return "there is no validated result"
        if await repository.tree_of(verdict.candidate) != verdict.tree:
            return "the tree that would land is not the one that was validated"
        if not await repository.is_ancestor(verdict.onto, verdict.candidate):
            return "the commit that would land does not follow the one it was validated on"
        landing = {change.path for change in await repository.changes(verdict.onto, verdict.candidate)}
        foreign = sorted(landing - set(result.paths))
        return f"'{foreign[0]}' would change although the result did not touch it" if foreign else ""
