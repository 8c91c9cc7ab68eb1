"""Validate: Heddle itself runs the agreed checks on the result merged with the branch it is to land on."""

from dataclasses import replace
from functools import partial

from heddle.core import events as e
from heddle.core.errors import MACHINE, HeddleError
from heddle.core.gate import CheckResult, Colour, Verdict
from heddle.core.run import Run
from heddle.core.scope import Scope
from heddle.core.settings import Settings
from heddle.core.task import Stage
from heddle.engine.checking import Checked, Checking, judged
from heddle.engine.commithooks import run_hooks
from heddle.engine.failure import Failure
from heddle.engine.installing import Installer
from heddle.engine.mainline import Mainline
from heddle.engine.reviewing import Reviewing
from heddle.engine.runs import Runs
from heddle.engine.site import Outside, Site
from heddle.engine.stages import workspace_for
from heddle.ports import Conflicted, Workspace

SUSPECTS = 16
"""At most so many landed commits are searched for a culprit."""


class Validation:
    """One validation of a run's result."""

    def __init__(self, runs: Runs, outside: Outside, site: Site, settings: Settings, run: Run, key: str) -> None:
        self.runs, self.outside, self.site, self.settings = runs, outside, site, settings
        self.task, self.key = run.task.id, key
        self.attempt = run.attempt(Stage.VALIDATE)
        self.installer = Installer(outside, site, settings)

    @property
    def run(self) -> Run:
        """The run as it is now."""
        return self.runs.require(self.task)

    async def play(self) -> None:
        """To a recorded verdict, or the finding that the plan's base no longer holds. Raises errors.MACHINE."""
        try:
            event = await self._reviewed(await self._judge())
        except Failure as failure:
            event = e.StageFailed(
                Stage.VALIDATE, self.attempt, failure.reason, failure.detail, self.installer.redact(failure.evidence)
            )
        except HeddleError as error:
            if error.slug in MACHINE:
                raise
            event = e.StageFailed(Stage.VALIDATE, self.attempt, error.slug, error.message, error.hint)
        await self.runs.record(self.task, event)

    async def _judge(self) -> e.Event:
        run, repository = self.run, self.site.repository
        await self.installer.learn_secrets(run.base)
        result = run.result
        if result is None:
            return e.StageFailed(Stage.VALIDATE, self.attempt, "no-result", "there is no result to validate")
        onto = await self._onto()
        merged = await repository.merge(onto, result.commit, run.base)
        if isinstance(merged, Conflicted):
            listed = ", ".join(merged.paths[:5])
            return e.PlanOutdated(onto, f"the result conflicts with {run.task.branch} in {listed}\n{merged.detail}")
        candidate = await self._candidate(run, merged.tree, onto)
        verdict = Verdict(Colour.GREEN, onto, candidate, merged.tree, edited_tests=self._edited_tests(result.paths))
        if not self.checks:
            reason = "no check is known for this task; name one in heddle.toml or with --check"
            return e.VerdictReached(self.attempt, replace(verdict, colour=Colour.UNKNOWN, reason=reason))
        hooked, candidate = await self._hooked(candidate, onto, merged.tree)
        verdict = replace(verdict, candidate=candidate)
        refused = bool(hooked) and hooked[0].colour is not Colour.GREEN
        if refused:
            return e.VerdictReached(self.attempt, judged(verdict, Checked(hooked)))
        checked = await self._check(verdict.candidate, self.key)
        told = judged(verdict, replace(checked, results=(*hooked, *checked.results)))
        if told.colour is Colour.RED and (repairing := await self._main_red(told)):
            why = f"{run.task.branch} itself fails the check; {repairing} is to repair it"
            return e.StageFailed(Stage.VALIDATE, self.attempt, e.MAIN_RED, why, run.evidence)
        if told.colour is Colour.RED and onto != run.base:
            told = await self._blame(told)
        return e.VerdictReached(self.attempt, told)

    async def _main_red(self, verdict: Verdict) -> str:
        """The task that is to repair the branch, when it is the branch that fails."""
        mainline = Mainline(self.runs, self.outside, self.site, self.settings)
        return await mainline.blamed(self.run.task, verdict.onto, verdict.results)

    async def _reviewed(self, judged: e.Event) -> e.Event:
        """A verdict with the opinion of a reviewer, where one is due: it comes on top of green, and never in its place."""
        if not isinstance(judged, e.VerdictReached) or judged.verdict.colour is not Colour.GREEN:
            return judged
        review = self.run.verdict.review if self.run.verdict else None
        if self.run.to_review:
            reviewing = Reviewing(self.runs, self.outside, self.site, self.settings, self.run, self.key)
            review = await reviewing.review(judged.verdict)
        return replace(judged, verdict=replace(judged.verdict, review=review))

    @property
    def checks(self) -> tuple[str, ...]:
        """What was agreed on with the plan; without one, the repository's and the task's own."""
        run = self.run
        return run.checks if run.plan else tuple(dict.fromkeys((*self.settings.every_check, *run.checks)))

    async def _onto(self) -> str:
        """The commit that this attempt validates against: fixed once, so that a restart goes on with the same."""
        ref = f"refs/heddle/onto/{self.key.lower()}"
        kept = dict(await self.site.repository.kept(ref))
        if ref in kept:
            return kept[ref]
        onto = await self.site.repository.resolve(f"refs/heads/{self.run.task.branch}")
        await self.site.repository.keep(ref, onto)
        return onto

    async def _candidate(self, run: Run, tree: str, onto: str) -> str:
        """The commit that would land: made once, so that a restart lands the one that was validated."""
        ref = f"refs/heddle/candidates/{self.key.lower()}"
        kept = dict(await self.site.repository.kept(ref))
        if ref in kept:
            return kept[ref]
        commit = await self.site.repository.commit(tree, [onto], message(run), as_person=True)
        await self.site.repository.keep(ref, commit)
        return commit

    async def _hooked(self, candidate: str, onto: str, tree: str) -> tuple[tuple[CheckResult, ...], str]:
        """What the person's commit hooks say, and the candidate with the message that they made."""
        repository = self.site.repository
        folder = await repository.commit_hooks() if self.settings.hooks else ""
        if not folder:
            return (), candidate
        key = f"{self.key}-hooks"
        workspace = await workspace_for(self.runs, self.installer, self.run, Stage.VALIDATE, key, candidate, folder)
        if not workspace.hooks:
            return (), candidate
        await self.installer.set_up(workspace, key)
        text = message(self.run)
        hooked = await run_hooks(workspace, key, onto, text, self.settings, self.outside.room, self.installer.redact)
        if hooked.result.colour is Colour.GREEN and hooked.message != text:
            candidate = await repository.commit(tree, [onto], hooked.message, as_person=True)
            await repository.keep(f"refs/heddle/candidates/{self.key.lower()}", candidate)
        return (hooked.result,), candidate

    def _edited_tests(self, paths: tuple[str, ...]) -> tuple[str, ...]:
        tests = Scope(self.settings.test_paths)
        run_by_checks = {word.removeprefix("./") for check in self.checks for word in check.split()[:2]}
        return tuple(path for path in paths if tests.covers(path) or path in run_by_checks)

    async def _check(self, commit: str, key: str) -> Checked:
        """Run every check on a commit in a clean workspace, which is trashed afterwards."""
        return await Checking(self.installer, self.checks, partial(self._place, commit)).run(key)

    async def _place(self, commit: str, key: str) -> Workspace:
        return await workspace_for(self.runs, self.installer, self.run, Stage.VALIDATE, key, commit)

    async def _blame(self, verdict: Verdict) -> Verdict:
        """Red on the merged tree: is the result green alone, and which landed change does it break with?"""
        run, result = self.run, self.run.result
        if (
            result is None
            or judged(verdict, await self._check(result.commit, f"{self.key}-alone")).colour is not Colour.GREEN
        ):
            return verdict
        landed = await self.site.repository.log(run.base, verdict.onto)
        low, high = 0, len(landed) - 1
        if not 0 < len(landed) <= SUSPECTS:
            return replace(
                verdict, culprit="unknown", reason=f"green alone, red on {run.task.branch}: {verdict.reason}"
            )
        while low < high:  # the first landed commit with which the result is red
            middle = (low + high) // 2
            red = await self._red_with(landed[middle][0], f"{self.key}-with-{middle}")
            low, high = (low, middle) if red else (middle + 1, high)
        commit, subject = landed[low]
        culprit = f"{subject} ({commit[:12]})"
        reason = f"green alone and red together with: {culprit}\n{verdict.reason}"
        return replace(verdict, culprit=culprit, reason=reason)

    async def _red_with(self, commit: str, key: str) -> bool:
        run = self.run
        if run.result is None:
            return False
        merged = await self.site.repository.merge(commit, run.result.commit, run.base)
        if isinstance(merged, Conflicted):
            return True
        composed = await self.site.repository.commit(merged.tree, [commit], "heddle: composed", as_person=False, at=0.0)
        verdict = Verdict(Colour.GREEN, commit, composed, merged.tree)
        return judged(verdict, await self._check(composed, key)).colour is Colour.RED


def message(run: Run) -> str:
    """The message of the commit that lands: the task's title, its words, and trailers to find it by."""
    title = run.task.title
    body = run.task.text.strip()
    parts = [title, "" if body == title else f"\n{body}\n"]
    trailers = [f"Heddle-Task: {run.task.id}", f"Heddle-Run: {run.task.id}-{run.number}"]
    if run.session is not None or run.task.agent:
        trailers.append(f"Assisted-by: {run.session.agent if run.session else run.task.agent}")
    return "\n".join(part for part in parts if part) + "\n\n" + "\n".join(trailers) + "\n"
