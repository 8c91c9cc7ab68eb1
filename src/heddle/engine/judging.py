"""One validation of a train: the commit hooks and every check that was agreed for anyone aboard, on the composed tree."""

import hashlib
import secrets
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from functools import partial

from heddle.core.gate import CheckResult, Colour, Verdict
from heddle.core.queue_events import TrainJudged
from heddle.core.run import Run
from heddle.core.settings import Settings
from heddle.engine.checking import Checked, Checking, judged
from heddle.engine.commithooks import run_hooks
from heddle.engine.composing import Composition
from heddle.engine.failure import Failure
from heddle.engine.installing import Installer
from heddle.engine.mainline import ROOM, clear, place_for, recipe
from heddle.engine.runs import Runs
from heddle.engine.site import Outside, Site
from heddle.ports import Workspace

TRAINS = "refs/heddle/trains"
"""Below it, what is being validated is kept."""


def agreed(settings: Settings, aboard: Iterable[Run]) -> tuple[str, ...]:
    """The repository's checks, and every other that was run when somebody aboard was validated, each once."""
    results = (result for run in aboard if run.verdict for result in run.verdict.results)
    own = (result.command for result in results if not result.command.startswith("("))  # what no command stands for
    return tuple(dict.fromkeys((*settings.checks, *own)))


def mark(branch: str) -> str:
    """What ends the keys of a branch's validations: other branches of the repository have theirs beside them."""
    return hashlib.sha256(branch.encode()).hexdigest()[:6]


@dataclass(frozen=True, slots=True)
class Judging:
    """A composition under validation, with the settings of the branch as it is. `nonce` tells one try from another: what is
    left of one that was broken off is never taken for the next one's.
    """

    runs: Runs
    outside: Outside
    site: Site
    settings: Settings
    branch: str
    repository: str
    composition: Composition
    checks: tuple[str, ...]
    nonce: str = field(default_factory=partial(secrets.token_hex, 4))

    @property
    def recipe(self) -> str:
        """What decides the verdict besides the tree."""
        return recipe(self.settings, self.checks, self.outside.tier)

    @property
    def key(self) -> str:
        """The same for the same question: the same tree is never validated twice by the same recipe."""
        return f"{ROOM}{self.composition.tree[:16]}-{self.recipe[:8]}-{mark(self.branch)}"

    @property
    def place(self) -> str:
        """Begins the names of this try's workspaces and commands."""
        return f"{self.key}-{self.nonce}"

    async def run(self) -> None:
        """To a recorded verdict. What keeps the checks from being run makes it unknown; cancelled, nothing is known of it."""
        installer = Installer(self.outside, self.site, self.settings)
        made, train = self.composition, self.composition.train
        await self.site.repository.keep(f"{TRAINS}/{self.key}", made.commit)
        verdict = Verdict(Colour.GREEN, made.onto, made.commit, made.tree)
        try:
            told = await self._told(installer, verdict)
        except Failure as failure:
            reason = f"{failure.detail}\n{installer.redact(failure.evidence)}".strip()
            told = replace(verdict, colour=Colour.UNKNOWN, reason=reason)
        event = TrainJudged(
            self.branch,
            train,
            made.onto,
            made.commit,
            made.tree,
            self.recipe,
            told.colour,
            told.results,
            told.reason,
            told.flakes,
        )
        await self.runs.record_queue(self.repository, event)
        await self.clear()

    async def clear(self) -> None:
        """Let go of everything that only this validation needed."""
        keys = (self.place, f"{self.place}-again", f"{self.place}-hooks")
        installer = Installer(self.outside, self.site, self.settings)
        await clear(self.site, installer, self.runs, self.composition.train[-1], keys)
        await self.site.repository.forget(f"{TRAINS}/{self.key}")

    async def _told(self, installer: Installer, verdict: Verdict) -> Verdict:
        await installer.learn_secrets(self.composition.onto)
        hooked = await self._hooked(installer)
        if any(one.colour is not Colour.GREEN for one in hooked):
            return judged(verdict, Checked(hooked))
        checked = await Checking(installer, self.checks, partial(self._place, installer)).run(self.place)
        return judged(verdict, replace(checked, results=(*hooked, *checked.results)))

    async def _place(self, installer: Installer, key: str) -> Workspace:
        return await place_for(installer, self.composition.commit, key)

    async def _hooked(self, installer: Installer) -> tuple[CheckResult, ...]:
        """What the person's commit hooks say of the train as one commit. The messages were theirs before."""
        made, repository = self.composition, self.site.repository
        folder = await repository.commit_hooks() if self.settings.hooks else ""
        if not folder:
            return ()
        key = f"{self.place}-hooks"
        workspace = await place_for(installer, made.commit, key, folder)
        if not workspace.hooks:
            return ()
        await installer.set_up(workspace, key)
        text = await repository.message(made.commit)
        room = self.outside.room
        hooked = await run_hooks(workspace, key, made.onto, text, self.settings, room, installer.redact)
        return (hooked.result,)
