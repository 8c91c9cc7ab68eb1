"""Every outcome in every order: a state machine drives the cycle, and a crash is only a refold."""

from dataclasses import replace

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from heddle.core import events as e
from heddle.core.cycle import (
    QUEUE,
    Blocker,
    Bounds,
    Hold,
    PassGate,
    PlayStage,
    Rebase,
    RemoveWorkspace,
    Replan,
    StartStage,
    Stop,
    Unpark,
    Wait,
    Who,
    World,
    decide,
)
from heddle.core.delegation import Delegation
from heddle.core.evolve import evolve, fold
from heddle.core.extent import Extent
from heddle.core.gate import Colour, Decider, GateRule, Gates, Verdict
from heddle.core.plan import Plan, digest
from heddle.core.run import Active, AtGate, HeldUp, LandedAt, Run, Unstarted
from heddle.core.scope import Scope
from heddle.core.task import READ_ONLY, WITH_AGENT, Lane, Stage, Task
from heddle.core.timeline import timeline
from heddle.core.views import inbox, row, state

DECIDERS = st.sampled_from(list(Decider))
REASONS = ("agent-exited", "malformed", "stalled", "setup-failed")


class Cycle(RuleBasedStateMachine):
    """Carries out what `decide` says with outcomes of Hypothesis' choice, and checks what must never be."""

    def __init__(self) -> None:
        super().__init__()
        self.records: list[e.Recorded] = []
        self.run: Run | None = None
        self.world = World(bounds=Bounds(2, 2))
        self.main = 0
        self.validated: set[tuple[str, str]] = set()
        self.person_saw: set[str] = set()

    def add(self, *events: e.Event, by: str = "heddle") -> None:
        for event in events:
            seq = len(self.records) + 1
            record = e.Recorded("task:T1", seq, seq, float(seq), by, "", 1, event)
            self.records.append(record)
            self.run = fold([record]) if self.run is None else evolve(self.run, record)

    @property
    def now(self) -> Run:
        assert self.run is not None
        return self.run

    def decision(self) -> object:
        return decide(self.now, self.world)

    @precondition(lambda self: self.run is None)
    @rule(lane=st.sampled_from(list(Lane)), gate=DECIDERS, research=DECIDERS, last=DECIDERS, started=st.booleans())
    def ask(self, lane: Lane, gate: Decider, research: Decider, last: Decider, started: bool) -> None:
        rules = [(Stage.PLAN, gate), (Stage.RESEARCH, research), (Stage.VALIDATE, last)]
        self.world = World(
            gates=Gates(tuple(GateRule(stage, decides) for stage, decides in rules)),
            delegations=(Delegation("docs", Stage.PLAN, ("docs/**",)),),
            approved=frozenset({"true"}),
            bounds=Bounds(2, 2),
        )
        self.add(e.TaskAdded(Task("T1", "r", "/r", "main", "do it", lane, checks=("true",))))
        if started:
            self.add(e.RunStarted(1, "m0"))

    @precondition(lambda self: self.run is not None and (isinstance(self.now.activity, Unstarted) or self.now.over))
    @rule()
    def begin(self) -> None:
        if not isinstance(self.now.activity, LandedAt):
            self.add(e.RunStarted(self.now.number + 1, f"m{self.main}"))

    @precondition(lambda self: self.run is not None)
    @rule()
    def crash(self) -> None:
        """A restart is only a refold."""
        assert fold(self.records) == self.run

    @precondition(lambda self: self.run is not None)
    @rule(steps=st.sampled_from([1, 12]))
    def go_on(self, steps: int) -> None:
        """Carry out what needs no outcome."""
        for _ in range(steps):
            self.step()

    def step(self) -> None:
        match self.decision():
            case StartStage(stage, attempt, key):
                assert not (stage in WITH_AGENT and self.world.blockers)
                assert attempt == self.now.attempt(stage) + 1
                if stage is Stage.EXECUTE and self.now.plan is not None:
                    assert self.now.approved == self.now.bound()
                self.add(e.StageStarted(stage, attempt, key))
            case PassGate(stage, bound, by):
                assert not self.world.problem  # nobody knows who decides
                if stage is Stage.PLAN and by != "nobody":
                    assert self.now.plan is not None
                    assert set(self.now.plan.commands) <= self.world.approved
                self.add(e.GatePassed(stage, bound, by))
            case Rebase(base):
                assert self.now.unbegun
                self.add(e.RunRebased(base))
                self.world = replace(self.world, moved="")
                assert self.now.base == base
            case Unpark(session):
                assert not self.world.problem
                assert self.now.parked is not None
                assert all(question.session != session for question in self.now.questions)
                self.add(e.SessionUnparked(session))
            case Replan(base, why, research):
                self.add(e.PlanOutdated(base, why, research))
            case Hold(reason, detail):
                self.add(e.RunHeld(reason, detail))
            case Stop(why):
                self.add(e.RunStopped(why))
            case RemoveWorkspace(workspace):
                self.add(e.WorkspaceRemoved(workspace, ""))
            case PlayStage() | Wait():
                pass

    @precondition(lambda self: self.run is not None and isinstance(self.decision(), PlayStage))
    @rule(ok=st.sampled_from(["ok"] * 9 + ["fail", "red", "unknown", "culprit", "conflict"]), paths=st.booleans())
    def play(self, ok: str, paths: bool) -> None:
        run = self.now
        attempt = run.attempt(run.stage)
        work = f"{run.stage}-{attempt}"
        if not any(made.workspace == work for made in run.workspaces) and run.stage is not Stage.LAND:
            self.add(e.WorkspaceCreated(work, run.stage, run.base, run.base))
            self.add(e.SessionStarted(work, "rehearsal", work, run.stage, attempt, 0))
        if ok == "fail":
            return self.add(e.StageFailed(run.stage, attempt, REASONS[attempt % 4], "no", "evidence"))
        match run.stage:
            case Stage.RESEARCH:
                self.add(e.AgentPassedOver(run.stage, attempt, "codex", "not here"))
                self.add(e.WritesDiscarded(run.stage, ("x",)), e.ResearchDelivered(attempt, "facts"))
            case Stage.PLAN:
                glob = "docs/a.md" if paths else "src/**"
                plan = Plan(Scope((glob,)), ("true",) if paths else ("make",), f"plan {attempt}")
                self.add(e.PlanDelivered(attempt, plan, digest(plan, run.base)))
            case Stage.EXECUTE:
                commit = f"r{len(self.records)}"
                self.add(e.ResultDelivered(attempt, commit, "t", "", ("docs/a.md",), 1, 0, (), "done"))
            case Stage.VALIDATE:
                self.validate(ok)
            case Stage.LAND:
                self.land()

    def validate(self, ok: str) -> None:
        run, onto = self.now, f"m{self.main}"
        attempt = run.attempt(Stage.VALIDATE)
        if ok == "conflict":
            return self.add(e.PlanOutdated(onto, "conflict"))
        colour = {"red": Colour.RED, "culprit": Colour.RED, "unknown": Colour.UNKNOWN}.get(ok, Colour.GREEN)
        candidate = f"c{len(self.records)}"
        verdict = Verdict(colour, onto, candidate, "tree", culprit="T9" if ok == "culprit" else "", reason=ok)
        if colour is Colour.GREEN:
            self.validated.add((onto, candidate))
        self.add(e.VerdictReached(attempt, verdict))

    def land(self) -> None:
        """The landing under way ends, as the intent says or not at all."""
        run = self.now
        if run.landing is None or run.landing.old != f"m{self.main}":
            return self.add(e.LandingAborted("main moved"))
        assert (run.landing.old, run.landing.new) in self.validated
        self.add(e.Landed(run.landing.new, "main", "updated"))
        assert not self.now.stopping

    def in_queue(self) -> bool:
        decision = self.decision() if self.run is not None else None
        return isinstance(decision, Wait) and decision.reason == QUEUE

    @precondition(lambda self: self.in_queue())
    @rule(ok=st.sampled_from(["ok"] * 6 + ["red", "culprit", "unknown", "conflict"]), crash=st.booleans())
    def train(self, ok: str, crash: bool) -> None:
        """A train takes the run along, or it leaves the queue."""
        run, onto = self.now, f"m{self.main}"
        assert run.verdict is not None
        assert run.verdict.colour is Colour.GREEN
        if run.verdict.onto != onto:
            self.validate(ok)
        if self.in_queue() and self.now.verdict is not None:
            candidate = self.now.verdict.candidate
            self.add(e.StageStarted(Stage.LAND, self.now.attempt(Stage.LAND) + 1, self.now.key))
            self.add(e.LandingStarted(1, "main", onto, candidate, "tree"))
            if not crash:
                self.land()

    @precondition(lambda self: self.run is not None)
    @rule()
    def main_moves(self) -> None:
        self.main += 1

    @precondition(lambda self: self.run is not None)
    @rule(
        meets=st.booleans(),
        claimed=st.booleans(),
        outdated=st.booleans(),
        aged=st.booleans(),
        sessions=st.integers(0, 1),
        validations=st.integers(0, 1),
        no_room=st.sampled_from(["", "", "no memory"]),
        main_red=st.sampled_from(["", "", "T0"]),
        problem=st.sampled_from(["", "", "", "no repository"]),
        unapproved=st.sampled_from([(), (), ("make",)]),
        blockers=st.sampled_from([(), (), (Blocker("T3"),), (Blocker("T3"), Blocker("T4", ended=True))]),
    )
    def world_turns(
        self, meets, claimed, outdated, aged, sessions, validations, no_room, main_red, problem, unapproved, blockers
    ) -> None:  # type: ignore[no-untyped-def]
        self.world = replace(
            self.world,
            unapproved=unapproved,
            free_sessions=sessions,
            free_validations=validations,
            no_room=no_room,
            main_red=main_red,
            meets=("T2", "a", "a") if meets else None,
            claimed=("T2", "a", "a") if claimed else None,
            outdated=(f"m{self.main}", "moved") if outdated else None,
            aged=(f"m{self.main}", "moved") if aged else None,
            problem=problem,
            now=float(len(self.records)),
            blockers=blockers,
            moved=f"m{self.main}" if self.run and self.now.unbegun and self.now.base != f"m{self.main}" else "",
        )

    @precondition(lambda self: self.run is not None and isinstance(self.now.activity, AtGate | HeldUp))
    @rule(kind=st.sampled_from(["approve", "approve", "reject", "stale", "edit", "release"]))
    def person(self, kind: str) -> None:
        run = self.now
        if isinstance(run.activity, HeldUp):
            return self.add(e.RunReleased("person:p", "go on"))
        assert isinstance(run.activity, AtGate)
        if kind == "edit" and run.stage is Stage.PLAN:
            plan = Plan(Scope(("docs/b.md",)), ("true",), f"edited {len(self.records)}")
            return self.add(e.PlanEdited(plan, digest(plan, run.base)))
        before = run.activity
        if kind == "reject":
            self.add(e.GateRejected(run.stage, before.digest, "person:p", "no"))
        elif kind == "stale":
            self.add(e.GatePassed(run.stage, "another", "person:p"))
            assert self.now.activity == before
        elif kind == "release":
            self.add(e.RunReleased("person:p", ""))
            assert self.now.activity == before
        else:
            self.add(e.GatePassed(run.stage, before.digest, "person:p"))

    @precondition(lambda self: self.run is not None)
    @rule(
        what=st.sampled_from(
            ["pause", "resume", "stop", "question", "freeze", "answer", "withdraw", "violate", "keep", "late"]
            + ["visit", "leave", "park", "take over", "edit", "close", "claim", "release"]
        )
    )
    def meanwhile(self, what: str) -> None:
        run = self.now
        match what:
            case "pause":
                self.add(e.RunPaused("person:p"))
            case "resume":
                self.add(e.RunResumed("person:p"))
            case "stop":
                self.add(e.StopRequested("person:p", ""))
            case "question" if isinstance(run.activity, Active):
                self.add(e.QuestionAsked("q", "which?", ("a", "b"), "a", "s"))
            case "freeze" if isinstance(run.activity, Active):
                self.add(e.SessionFrozen("w:size-1", "wrote too much", "s", Extent(1, 1)))
            case "answer" if run.questions:
                self.add(e.QuestionAnswered(run.questions[0].id, "a"))
            case "withdraw" if run.questions:
                self.add(e.QuestionWithdrawn(run.questions[0].id))
            case "violate" if isinstance(run.activity, Active):
                self.add(e.ScopeViolated(("src/x.py",)))
            case "keep" if run.workspaces:
                self.add(e.WorkspaceKept(run.workspaces[0].workspace, "in use"))
            case "visit":
                self.add(e.WorkspaceEntered(f"v{len(self.records)}", "w", Stage.EXECUTE, ""))
            case "park" if isinstance(run.activity, Active) and run.session is not None:
                session = run.session.session
                self.add(e.QuestionAsked(f"{session}/1", "which?", (), "", session), e.SessionParked(session, "a"))
            case "take over" if isinstance(run.activity, Active) and run.session is not None:
                visit = f"v{len(self.records)}"
                self.add(e.WorkspaceEntered(visit, "w", Stage.EXECUTE, ""))
                self.add(e.SessionParked(run.session.session, "a", visit))
            case "leave" if run.visits:
                self.add(e.WorkspaceLeft(run.visits[0].visit, "w", 0, None, "exited"))
            case "edit":
                self.add(e.TaskEdited(replace(run.task, priority=1)))
            case "close":
                self.add(e.TaskClosed("person:p", "done elsewhere"))
                assert not run.under_way or self.now.activity == run.activity
            case "claim":
                self.add(e.TaskClaimed(run.claims + 1, "p", 1.0))
            case "release":
                self.add(e.ClaimReleased(run.claims, "given up"))
            case "late":
                self.add(e.CommandsApproved(("x",)), e.SessionEnded(0, None, "exited"))

    @invariant()
    def always_a_successor_or_a_named_reason(self) -> None:
        if self.run is None:
            return
        decision = self.decision()
        if isinstance(decision, Wait):
            assert decision.reason
            assert decision.detail
        status, why = state(self.now, decision)  # type: ignore[arg-type]
        assert why
        assert row(self.now, decision, 0.0, None).status is status  # type: ignore[arg-type]
        for item in inbox(self.now, decision):  # type: ignore[arg-type]
            assert item.act
        assert timeline(self.records)

    @invariant()
    def a_parked_session_is_nobodys_to_play(self) -> None:
        if self.run is not None and self.now.parked is not None:
            assert isinstance(self.now.activity, Active)
            assert not isinstance(self.decision(), PlayStage)

    @invariant()
    def landed_only_what_was_validated(self) -> None:
        if self.run is not None and isinstance(self.now.activity, LandedAt):
            assert self.now.verdict is not None
            assert (self.now.verdict.onto, self.now.activity.commit) in self.validated
            assert not self.now.stopping

    @invariant()
    def over_means_over(self) -> None:
        if self.run is not None and self.now.over and not self.now.workspaces:
            assert isinstance(self.decision(), Wait)
            assert self.decision().who is Who.NOBODY  # type: ignore[attr-defined]

    @invariant()
    def read_only_workspaces_do_not_pile_up(self) -> None:
        if self.run is None or isinstance(self.now.activity, Active) or self.now.stopping:
            return
        if any(made.stage in READ_ONLY for made in self.now.workspaces):
            assert isinstance(self.decision(), RemoveWorkspace)


Cycle.TestCase.settings = settings(max_examples=150, stateful_step_count=60, deadline=None)
TestCycle = Cycle.TestCase
