"""The stages in which an agent works: research, plan, execute. Each call carries on what an earlier one began."""

from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import replace

from heddle.core import events as e
from heddle.core.errors import MACHINE, HeddleError, OutsideError, UserError
from heddle.core.plan import digest
from heddle.core.redaction import Redactor
from heddle.core.role import Role
from heddle.core.run import Run
from heddle.core.scope import Scope
from heddle.core.session import TOOLS, TOOLS_TOKEN, TOOLS_URL, Access, Brief, TurnOutcome
from heddle.core.settings import Settings
from heddle.core.task import READ_ONLY, Lane, Stage
from heddle.core.timeline import left_out
from heddle.engine.asking import Asking, answers_since
from heddle.engine.autosave import Autosave
from heddle.engine.choosing import Choice, choose
from heddle.engine.documents import NAMES, document, load_plan, require_document
from heddle.engine.drifting import Drifting
from heddle.engine.failure import Failure
from heddle.engine.installing import Installer
from heddle.engine.noting import Noting
from heddle.engine.prompts import answered, going_on, news, noted, prompt, repair, resumption, ruled
from heddle.engine.radar import Radar
from heddle.engine.refreshing import OnceMore, Refreshing
from heddle.engine.reporting import uncited
from heddle.engine.roles import Roles
from heddle.engine.ruling import Ruling
from heddle.engine.runs import Runs
from heddle.engine.scopewatch import ScopeWatch
from heddle.engine.session import Outcome, Session
from heddle.engine.signals import record_rules
from heddle.engine.site import Outside, Site
from heddle.engine.sizewatch import Meter, SizeWatch
from heddle.engine.steering import steers
from heddle.ports import Agent, Changes, Collected, Command, Exit, Opening, Workspace, WorkspaceOrder


class AgentStage:
    """Plays one attempt at research, plan or execute."""

    def __init__(
        self,
        runs: Runs,
        outside: Outside,
        site: Site,
        settings: Settings,
        run: Run,
        key: str,
        radar: Radar | None = None,
    ) -> None:
        self.runs, self.outside, self.site, self.settings, self.radar = runs, outside, site, settings, radar
        self.task, self.stage, self.key = run.task.id, run.stage, key
        self.attempt = run.attempt(run.stage)
        self.role = Role(run.task.role, "")
        self.installer = Installer(outside, site, settings)
        self.noting, self.ruling, self.refreshing = Noting(runs, site), Ruling(runs, site), Refreshing(runs, site)

    @property
    def run(self) -> Run:
        """The run as it is now."""
        return self.runs.require(self.task)

    async def play(self) -> None:
        """To a delivered document or result, or a recorded failure. Raises what the machine lacks (errors.MACHINE)."""
        try:
            self.role = await Roles(self.outside.texts, self.site.repository).load(self.run.base, self.run.task.role)
            choice = await choose(self.runs, self.outside.agents, self.run, self.settings, self.key)
            await self.installer.learn_secrets(self.run.base)
            workspace = await workspace_for(self.runs, self.installer, self.run, self.stage, self.key)
            await self.installer.set_up(workspace, self.key)
            text = await self._converse(choice, workspace)
            if text is not None:
                await self._deliver(workspace, text)
        except Failure as failure:
            await self._fail(failure.reason, failure.detail, failure.evidence)
        except HeddleError as error:
            if error.slug in MACHINE:
                raise
            await self._fail(error.slug, error.message, f"{error.message}\n{error.hint}".strip())

    async def _fail(self, reason: str, detail: str, evidence: str) -> None:
        redact = self.installer.redact
        failed = e.StageFailed(self.stage, self.attempt, reason, redact(detail)[:500], redact(evidence)[:20_000])
        await self.runs.record(self.task, failed)

    async def _converse(self, choice: Choice, workspace: Workspace) -> str | None:
        """Sessions in the workspace until one ends well, None when one is parked: a lost one is followed by the next where
        the agent can, and so is a parked one once it goes on.
        """
        parked = self._parked()
        first = int(parked.session.rpartition(".")[2]) + 1 if parked else 1
        resume = parked.agent_session if parked else ""
        if parked:
            await settle_parked(self.runs, workspace, parked.session)
        for number in range(first, first + self.settings.resumes + 1):
            outcome, text = await self._session(choice, workspace, number, resume)
            if outcome.parked:
                await workspace.vacate()
                return None
            turn = outcome.turn
            if turn is not None and turn.outcome is TurnOutcome.ENDED and not outcome.excessive:
                complaint = await self._complaint(workspace, outcome)
                if complaint:
                    raise Failure("malformed", complaint, f"The document could not be taken: {complaint}")
                return text
            forgotten = bool(resume) and not outcome.agent_session  # it was lost before it wrote anything down
            if not (choice.agent.capabilities.resume and (forgotten or outcome.lost)):
                break
            resume = outcome.agent_session
        raise self._unhappy(outcome)

    def _parked(self) -> e.SessionParked | None:
        """The last session of this attempt that was parked, however long ago."""
        facts = (r.event for r in reversed(self.runs.history(self.task)) if isinstance(r.event, e.SessionParked))
        return next((fact for fact in facts if fact.session.startswith(f"{self.key}.")), None)

    def _unhappy(self, outcome: Outcome) -> Failure:
        turn, ended = outcome.turn, outcome.exit
        if outcome.refused:
            told = f"the vendor does not take the agent's credential: {outcome.refused}; see: heddle doctor"
            return Failure("agent-unauthenticated", told)
        if outcome.stalled:
            why = f"; its vendor said {outcome.limit}" if outcome.limit else ""
            told = f"the agent made no progress for {self.settings.stall_s:.0f} s and was ended{why}"
            return Failure("stalled", told)
        if ended is not None and ended.why not in ("exited", "stopped"):
            return Failure(ended.why, ended.detail or f"the agent ended: {ended.why}")
        if turn is None:
            how = f"signal {ended.signal}" if ended and ended.signal else f"status {ended.code if ended else '?'}"
            return Failure("agent-exited", f"the agent ended with {how} before it finished a turn")
        return Failure(f"turn-{turn.outcome}", turn.error or f"the turn was {turn.outcome}")

    async def _session(self, choice: Choice, workspace: Workspace, number: int, resume: str) -> tuple[Outcome, str]:
        id = f"{self.key}.{number}"
        if self.run.parked is not None:  # a person was faster
            return Outcome(parked=True), ""
        opening = await self.outside.tools.open(self.task, id)
        try:
            outcome = await self._served(choice, workspace, number, resume, opening)
        finally:
            await self.outside.tools.close(id)
        return outcome, await self._text(workspace, outcome)

    async def _served(
        self, choice: Choice, workspace: Workspace, number: int, resume: str, opening: Opening
    ) -> Outcome:
        """One session from its first message to its end, while its tools are served."""
        id, agent = f"{self.key}.{number}", choice.agent
        access = Access.WRITE if self.stage is Stage.EXECUTE else Access.READ
        redact = Redactor((*self.installer.redact.values, *filter(None, (opening.token,))))
        notes = await self.noting.at_start(self.run, id, self.run.scope, f"{self.key}.{number - 1}" if resume else "")
        rules = await self.ruling.at_start(self.run, id, resumed=bool(resume))
        text = self._text_for(number, resume, workspace.out) + noted(notes) + ruled(rules)
        places = (workspace.tree, workspace.out)
        brief = Brief(id, text, access, *places, choice.model, resume, tools=bool(opening.socket))
        command = with_tools(await self.installer.for_session(agent.command(brief), id), opening)
        held = await workspace.enter(command)
        started = e.SessionStarted(id, agent.name, workspace.id, self.stage, self.attempt, self.outside.tier)
        if not await self._begin(started):
            await held.stop(grace_s=2.0)
            return Outcome(parked=True)

        async def review(outcome: Outcome) -> str:
            return await self._complaint(workspace, outcome)

        async def seen() -> Changes:
            return await self._seen(workspace, id)

        async def heard(turn: int) -> str:
            if access is Access.READ:
                return ""
            text = await self._news(id, turn, seen, workspace.out, resumed=bool(resume))
            return text and text + once_more()

        once_more = OnceMore(self.runs, self.task, id)
        scope = self.run.scope if access is Access.WRITE else Scope()
        session = Session(
            task=self.task,
            brief=brief,
            watch=ScopeWatch(self.runs, self.task, id, scope, _paths_of(seen), writes=access is Access.WRITE),
            size=SizeWatch(
                self.runs, self.task, id, held, Meter(workspace, self.outside.room), self.settings.workspace
            ),
            saving=Autosave(id, workspace.autosave if access is Access.WRITE else _nothing_to_save),
            held=held,
            conversation=agent.conversation(brief),
            runs=self.runs,
            review=review,
            repairs=self.settings.repairs,
            stall_s=self.settings.stall_s,
            park_s=self.settings.park_s if agent.capabilities.resume else 0.0,
            redact=redact,
            news=heard,
            repair=lambda complaint: repair(self.stage, complaint, workspace.out) + once_more(),
            alive=lambda: self.runs.renew(id, self.outside.clock.now()),
            asking=Asking(self.runs, self.task, id),
            answered=lambda answers: answered(self.run, self.stage, answers, workspace.out) + once_more(),
        )
        return await self._played(session, workspace, agent)

    async def _played(self, session: Session, workspace: Workspace, agent: Agent) -> Outcome:
        outcome = await session.play()
        await record_rules(self.runs, workspace, agent, session.brief)
        return outcome

    async def _seen(self, workspace: Workspace, session: str) -> Changes:
        found = await workspace.changes()
        if self.radar is not None:
            self.radar.saw(self.task, session, found)
        return found

    async def _news(
        self, session: str, turn: int, seen: Callable[[], Awaitable[Changes]], out: str, *, resumed: bool
    ) -> str:
        """What a session that may write hears after its turn of that number; notes come last, since they settle the turn."""
        run, decided, drift = self.run, self.noting.decided(session, turn), ""
        rules = await self.ruling.after(run, session, turn, resumed=resumed, decided=decided)
        changes = await self.refreshing.after(run, session, turn, _paths_of(seen), resumed=resumed, decided=decided)
        if self.radar is not None:
            drifting = Drifting(self.runs, self.site, self.radar)
            drift = await drifting.after(run, session, turn, seen, decided=decided)
        notes = await self.noting.after(run, session, turn, run.scope, seen)
        return news(run, self.stage, notes, rules, changes, out, drift)

    async def _begin(self, started: e.SessionStarted) -> bool:
        """Put a session on record before it is told anything. False when a person took the conversation over meanwhile: then
        it is they who have it, and this session is parked from its first moment (D3).
        """

        def begin(run: Run) -> list[e.Event]:
            facts = (r.event for r in self.runs.history(self.task))  # it may have begun in another tier
            known = any(isinstance(fact, e.SessionStarted) and fact.session == started.session for fact in facts)
            taken = [replace(run.parked, session=started.session)] if run.parked is not None else []
            return [] if known else [started, *taken]

        return (await self.runs.record_if(self.task, begin)).parked is None

    def _text_for(self, number: int, resume: str, out: str) -> str:
        """The first turn of the attempt's session of that number."""
        run, parked = self.run, self._parked()
        whole = "" if resume else prompt(run, self.stage, self.role, self.settings, self.outside.texts, out)
        if number == 1:
            return whole
        if parked and parked.session == f"{self.key}.{number - 1}":
            return going_on(run, self.stage, parked, answers_since(self.runs, run, parked), out) + whole
        return resumption(run, self.stage, out) + whole

    async def _text(self, workspace: Workspace, outcome: Outcome) -> str:
        """What was handed in: the file, else a document through a tool call, else the last message."""
        data = await workspace.taken(NAMES[self.stage])
        if data is not None:
            return document(data)
        return outcome.offered or (outcome.turn.text if outcome.turn else "")

    async def _complaint(self, workspace: Workspace, outcome: Outcome) -> str:
        text = await self._text(workspace, outcome)
        try:
            require_document(self.stage, text)
            plan = load_plan(text, ()) if self.stage is Stage.PLAN and not self.run.task.scope else None
        except UserError as error:
            return error.message
        if self.run.task.lane is Lane.REPORT:
            return await uncited(self.site.repository, self.run.base, text)
        return self.role.objection(plan.scope.globs) if plan else ""

    async def _deliver(self, workspace: Workspace, text: str) -> None:
        await self.installer.close(
            workspace, self.runs, self.task
        )  # whoever is still in there, a person too, changes no result that is being taken
        if self.stage in READ_ONLY:
            written = await workspace.changes()
            if written.paths:
                paths = tuple(change.path for change in written.paths)
                await self.runs.record(self.task, e.WritesDiscarded(self.stage, paths))
        if self.stage is Stage.RESEARCH:
            await self.runs.record(self.task, e.ResearchDelivered(self.attempt, self.installer.redact(text)))
        elif self.stage is Stage.PLAN:
            plan = load_plan(text, (*self.run.task.checks, *self.settings.every_check))
            if self.run.task.scope:
                plan = replace(plan, scope=Scope(self.run.task.scope))
            await self.runs.record(self.task, e.PlanDelivered(self.attempt, plan, digest(plan, self.run.base)))
        else:
            await self._deliver_result(workspace, text)

    async def _deliver_result(self, workspace: Workspace, text: str) -> None:
        run = self.run
        collected = await workspace.collect(f"{run.task.title}\n\nHeddle-Run: {self.key}")
        paths = tuple(change.path for change in collected.changes.paths)
        if not paths:
            told = "the agent says it is done, but nothing differs from the base"
            raise Failure("no-evidence", told + left_out(collected.changes.refused))
        beyond = self.run.scope.outside(paths) if self.run.scope.declared else ()
        if beyond:
            if set(beyond) - set(run.violations):
                await self.runs.record(self.task, e.ScopeViolated(beyond))
            told = f"'{beyond[0]}'" + (f" and {len(beyond) - 1} more lie" if beyond[1:] else " lies")
            told += " outside the approved scope"
            listed = "\n".join(beyond[:50])
            raise Failure("outside-scope", told, f"{told}\nThese files must be left as they were:\n{listed}")
        await self._refuse_secrets(collected)
        insertions = sum(change.insertions or 0 for change in collected.changes.paths)
        deletions = sum(change.deletions or 0 for change in collected.changes.paths)
        await self.runs.record(
            self.task,
            e.ResultDelivered(
                self.attempt,
                collected.commit,
                collected.tree,
                collected.own,
                paths,
                insertions,
                deletions,
                collected.changes.refused,
                self.installer.redact(text),
                await steers(self.site.repository, run.base, collected.commit, paths),
            ),
        )

    async def _refuse_secrets(self, collected: Collected) -> None:
        diff = await self.site.repository.diff(self.run.base, collected.commit)
        leaking = self.installer.redact.added(diff)
        if leaking:
            raise Failure(
                "secret-in-diff",
                f"'{leaking[0]}' would add a secret",
                f"The change adds what looks like a secret in: {', '.join(leaking)}. Take it out.",
            )


def _paths_of(seen: Callable[[], Awaitable[Changes]]) -> Callable[[], Awaitable[tuple[str, ...]]]:
    async def look() -> tuple[str, ...]:
        return tuple(change.path for change in (await seen()).paths)

    return look


def with_tools(command: Command, opening: Opening) -> Command:
    """A session's command that can reach its tools."""
    if not opening.socket:
        return command
    env = {TOOLS_URL: f"http://{TOOLS}/mcp", TOOLS_TOKEN: opening.token}
    return replace(command, env={**command.env, **env}, tools=opening.socket)


async def workspace_for(
    runs: Runs, installer: Installer, run: Run, stage: Stage, key: str, start: str = "", hooks: str = ""
) -> Workspace:
    """The workspace of an attempt: made once, found again afterwards, recorded when it exists.

    Raises OutsideError(slug="workspace-lost") for one that is on record and not there: what a session left in it would be
    missing, and nobody would notice.
    """
    workspaces = installer.site.workspaces
    id = key.lower()
    known = any(made.workspace == id for made in run.workspaces)
    found = await workspaces.find(id)
    if known and found is None:
        raise OutsideError(f"workspace '{id}' is gone", slug="workspace-lost", hint="the attempt is made anew")
    goes_on = stage is Stage.EXECUTE and run.result is not None
    begin = start or (run.result.commit if goes_on and run.result else run.base)
    base = start or run.base
    layers = () if found else await installer.layers(begin)
    workspace = await workspaces.create(WorkspaceOrder(id, base, begin, hooks=hooks, layers=layers))
    if not known:
        await runs.record(run.task.id, e.WorkspaceCreated(id, stage, base, begin))
    return workspace


async def end_parked(runs: Runs, outside: Outside, run: Run) -> None:
    """What a crash left of a parked session goes; what fails is done when it goes on."""
    with suppress(HeddleError):
        workspace = await (await outside.site(run.task.root)).workspaces.find(
            run.session.workspace if run.session else ""
        )
        if workspace is not None and run.parked is not None:
            await settle_parked(runs, workspace, run.parked.session)
            await workspace.vacate()


async def settle_parked(runs: Runs, workspace: Workspace, session: str) -> None:
    """Have nothing left of a parked session but its conversation: a crash can come before its end is on record."""
    ended = await require_ended(workspace, session)
    stream = f"session:{session}"
    if not any(isinstance(record.event, e.SessionEnded) for record in await runs.journal.read(stream)):
        await runs.record_other(stream, e.SessionEnded(ended.code, ended.signal, ended.why), by=session)


async def require_ended(workspace: Workspace, session: str) -> Exit:
    """Nobody else may have the conversation (D3); how its process ended."""
    held = await workspace.enter(Command(session, ("true",), ""))  # a known key is never started anew
    await held.stop(grace_s=2.0)
    return await held.exit()


async def _nothing_to_save() -> bool:
    """What read-only stages write is thrown away."""
    return False
