"""Tables for the small rules: scope, plan, permission, delegation, gates, redaction, usage, errors."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from heddle.core import events as e
from heddle.core.capabilities import MEANS, NAMES, WITHOUT, Capabilities
from heddle.core.cycle import PROBLEM, QUEUE, ROOM, Decision, PlayStage, StartStage, Stop, Wait, Who, World, decide
from heddle.core.delegation import Delegation
from heddle.core.errors import KINDS, HeddleError, UserError
from heddle.core.evolve import evolve, fold
from heddle.core.extent import Disk, Extent
from heddle.core.gate import Colour, Decider, GateRule, Gates, Verdict
from heddle.core.permission import inside, permission
from heddle.core.plan import MAX_LINES, Plan, digest, require_plan, require_short
from heddle.core.redaction import CUT, Redactor, redact, values_of
from heddle.core.run import Active, AtGate, HeldUp, Idle, Run, StoppedFor
from heddle.core.scope import Scope, require_scope
from heddle.core.session import Access, Allow, Deny, PermissionAsked, Usage
from heddle.core.settings import AgentRule, Settings
from heddle.core.task import Lane, Stage, Status, Task, first_stage, stage_after
from heddle.core.timeline import timeline
from heddle.core.views import inbox, row, state

TASK = Task("T1", "r", "/r", "main", "do it")
PLAN = Plan(Scope(("docs/**",)), ("true",), "text")


@pytest.mark.parametrize(
    ("a", "b", "meets"),
    [
        ("src/**", "src/a.py", True),
        ("src/a", "src/a/b.py", True),
        ("src/*.py", "src/b.*", True),
        ("src/*.py", "src/b/c.py", False),
        ("a?c", "abc", True),
        ("a?c", "ac", False),
        ("**/x.py", "deep/er/x.py", True),
        ("**", "anything", True),
        ("a/**/z", "a/z", True),
        ("a/**/z", "b/**/z", False),
        ("src/a.py", "src/ab.py", False),
        ("*a", "b*", True),
    ],
)
def test_scopes_meet_when_one_path_can_match_both(a: str, b: str, meets: bool) -> None:
    assert (Scope((a,)).meeting(Scope((b,))) is not None) is meets
    assert (Scope((b,)).meeting(Scope((a,))) is not None) is meets


def test_an_undeclared_scope_meets_everything() -> None:
    assert Scope().meeting(Scope(("a",))) == ("**", "**")
    assert Scope(("a", "b")).meeting(Scope(("c", "b"))) == ("b", "b")


NAME = st.text("ab", min_size=1, max_size=2)


@given(
    st.lists(NAME, min_size=1, max_size=3),
    st.lists(st.sampled_from(["a", "b", "*", "**", "?", "a*"]), min_size=1, max_size=3),
)
def test_a_covered_path_meets_its_scope(path: list[str], glob: list[str]) -> None:
    scope = Scope(("/".join(glob),))
    if scope.covers("/".join(path)):
        assert scope.meeting(Scope(("/".join(path),))) is not None


@pytest.mark.parametrize("glob", ["", "./", "/etc", "~/x", "C:/x", "-rf", "a/../b", "..", ".git/hooks", "a\nb", "\\x"])
def test_a_scope_that_leads_out_is_refused(glob: str) -> None:
    with pytest.raises(UserError) as caught:
        require_scope([glob])
    assert caught.value.slug == "bad-scope"
    assert "\n" not in caught.value.message


@pytest.mark.parametrize(
    ("glob", "path"),
    [
        ("/".join(["**"] * 40 + ["x"]), "/".join("abcdefghijklmnopqrst")),
        ("*a" * 200 + "b", "a" * 400),
        ("/".join(["a"] * 3000 + ["x"]), "/".join(["a"] * 3000)),
        ("a" * 3000, "a" * 2999),
    ],
)
def test_no_glob_takes_long_or_goes_deep(glob: str, path: str) -> None:
    """An agent may write it into a note or ask it about an overlap: others must not wait for the answer, or fail at it."""
    assert not Scope((glob,)).covers(path)
    assert Scope((path,)).meeting(Scope((glob,))) in (None, (path, glob))


def test_a_glob_that_nobody_could_read_is_refused() -> None:
    with pytest.raises(UserError, match="more than 1000 characters") as caught:
        require_scope(["a/" * 600])
    assert caught.value.slug == "bad-scope" and len(caught.value.message) < 200


def test_a_scope_is_tidied() -> None:
    assert require_scope(["./src/", "src", "a/b"]).globs == ("src", "a/b")
    assert Scope(("src",)).outside(["src/x", "y"]) == ("y",)


def plan_of(**front: object) -> Plan:
    return require_plan({"scope": ["a"], **front}, "text")


@pytest.mark.parametrize(
    ("front", "complaint"),
    [
        ({"scop": []}, "unknown key 'scop'"),
        ({"scope": []}, "no 'scope'"),
        ({"scope": "a"}, "'scope' must be a list"),
        ({"scope": ["/etc"]}, "absolute path"),
        ({"scope": ["../x"]}, "leads out"),
        ({"checks": [1]}, "'checks' must be a list"),
        ({"checks": ["a\nb"]}, "more than one line"),
        ({"questions": "x"}, "'questions' must be"),
        ({"questions": [{"text": "a"}]}, "needs 'text' and 'default'"),
        ({"questions": [{"text": "a", "default": "b", "options": "c"}]}, "'options'"),
    ],
)
def test_a_malformed_plan_is_refused_with_the_exact_complaint(front: dict[str, object], complaint: str) -> None:
    with pytest.raises(UserError, match=complaint):
        plan_of(**front)


def test_a_plan_keeps_checks_apart() -> None:
    plan = plan_of(checks=["make", "make", "manual: look"], questions=[{"text": "q", "default": "d", "options": ["d"]}])
    assert plan.commands == ("make",)
    assert plan.manual == ("manual: look",)
    assert plan.questions[0].options == ("d",)


def test_documents_are_short_and_not_empty() -> None:
    require_short("x\n" * MAX_LINES, "plan")
    with pytest.raises(UserError, match="201 lines"):
        require_short("x\n" * (MAX_LINES + 1), "plan")
    with pytest.raises(UserError, match="empty"):
        require_short(" \n", "research")


def test_p1_any_change_of_plan_scope_checks_or_base_gives_another_digest() -> None:
    plans = [
        PLAN,
        Plan(Scope(("docs/*",)), ("true",), "text"),
        Plan(PLAN.scope, ("make",), "text"),
        Plan(PLAN.scope, ("true",), "t"),
    ]
    asked = plan_of(questions=[{"text": "q", "default": "d"}])
    digests = {digest(plan, "base") for plan in (*plans, asked)} | {digest(PLAN, "other")}
    assert len(digests) == len(plans) + 2


@pytest.mark.parametrize(
    ("asked", "access", "allowed"),
    [
        (PermissionAsked("1", "read", "x", ("/etc/passwd",)), Access.READ, True),
        (PermissionAsked("1", "edit", "x", ("/w/out/plan.md",)), Access.READ, True),
        (PermissionAsked("1", "edit", "x", ("/w/tree/docs/a",)), Access.READ, False),
        (PermissionAsked("1", "run", "x"), Access.READ, False),
        (PermissionAsked("1", "run", "x"), Access.WRITE, True),
        (PermissionAsked("1", "edit", "x", ("docs/a",)), Access.WRITE, True),
        (PermissionAsked("1", "edit", "x", ("docs/../../x",)), Access.WRITE, False),
        (PermissionAsked("1", "edit", "x", ("src/a",)), Access.WRITE, False),
        (PermissionAsked("1", "edit", "x"), Access.WRITE, True),
    ],
)
def test_permission_is_least(asked: PermissionAsked, access: Access, allowed: bool) -> None:
    reply = permission(asked, access, "/w/tree", "/w/out", Scope(("docs/**",)))
    assert isinstance(reply, Allow if allowed else Deny)


def test_paths_are_told_relative_to_the_tree() -> None:
    assert inside("/w/tree", "/w/tree") == "."
    assert inside("a/./b", "/w/tree") == "a/b"
    assert inside("/w/treeless", "/w/tree") is None
    assert isinstance(permission(PermissionAsked("1", "edit", "", ("a",)), Access.WRITE, "/t", "/o", Scope()), Allow)


@pytest.mark.parametrize(
    ("delegation", "plan", "objection"),
    [
        (Delegation("d", scope=("docs/**",)), PLAN, ""),
        (Delegation("d", scope=("docs",), expires_at=5.0), PLAN, "expired"),
        (Delegation("d", scope=("docs",), expires_at=50.0), PLAN, ""),
        (Delegation("d", scope=("docs",), roles=("docs",)), PLAN, "role"),
        (Delegation("d", scope=("docs",)), None, "no plan"),
        (Delegation("d", scope=("docs/*.md",)), PLAN, "outside"),
        (Delegation("d", scope=("docs",)), Plan(Scope(("docs/a?.md", "docs/*")), ("make",), "t"), "never approved"),
        (Delegation("d", scope=("docs",), max_lines=3), PLAN, "4 changed lines"),
        (Delegation("d", scope=("docs",), max_lines=4), PLAN, ""),
    ],
)
def test_a_delegation_says_why_it_does_not_approve(delegation: Delegation, plan: Plan | None, objection: str) -> None:
    said = delegation.objection(TASK, plan, frozenset({"true"}), 10.0, 4)
    assert (objection in said) if objection else not said


def test_the_strictest_gate_rule_that_applies_wins() -> None:
    gates = Gates(
        (
            GateRule(Stage.PLAN, Decider.DELEGATION),
            GateRule(Stage.PLAN, Decider.PERSON, paths=("ci/**",)),
            GateRule(Stage.PLAN, Decider.PERSON, role="security"),
            GateRule(Stage.PLAN, Decider.PERSON, lane="full"),
            GateRule(Stage.VALIDATE, Decider.NOBODY),
        )
    )
    assert gates.decider(TASK, Stage.PLAN, PLAN) is Decider.DELEGATION
    assert gates.decider(TASK, Stage.PLAN, Plan(Scope(("ci/x",)), (), "t")) is Decider.PERSON
    assert gates.decider(TASK, Stage.PLAN, None) is Decider.DELEGATION
    assert gates.decider(TASK, Stage.EXECUTE, PLAN) is Decider.NOBODY
    manual = Plan(Scope(("a",)), ("manual: look",), "t")
    assert gates.decider(TASK, Stage.VALIDATE, manual) is Decider.PERSON
    full = Task("T1", "r", "/r", "main", "x", Lane.FULL)
    assert gates.decider(full, Stage.VALIDATE, PLAN) is Decider.PERSON


def test_x7_secrets_are_cut_and_told() -> None:
    key = "sk-ant-" + "a1" * 12
    assert redact(f"use {key} now") == f"use {CUT} now"
    assert redact("https://user:hunter22@host/x") == f"https://{CUT}@host/x"
    assert redact("nothing here") == "nothing here"
    diff = f"+++ b/ok.py\n+x = 1\n+++ b/bad.py\n+key = '{key}'\n context {key}\n"
    assert redact.added(diff) == ("bad.py",)
    assert redact.added(f"+++ b/a\n-gone = '{key}'\n") == ()


def test_x7_values_of_settings_are_secrets_by_name_or_by_look() -> None:
    told = """
# a comment = not this one
export DB_PASSWORD='correct horse battery'
API_KEY=abcdefgh
  "client_secret": "quoted-word",
session: 4f9c2b7e1a6d8053c7f2e91b
MONKEY=bananas-are-yellow
NODE_ENV=development
PORT=30000
SHORT_TOKEN=abc
EMPTY_TOKEN=
PUBLIC_URL=https://example.com/a/long/path/12
"""
    values = ("correct horse battery", "abcdefgh", "quoted-word", "4f9c2b7e1a6d8053c7f2e91b")
    assert values_of(told) == values
    knowing = Redactor((*values, "correct horse"))
    assert knowing("say correct horse battery, abcdefgh") == f"say {CUT}, {CUT}"
    assert knowing.added("+++ b/c.py\n+x = 'abcdefgh'\n+++ b/d.py\n-y = 'abcdefgh'\n+z = 'development'\n") == ("c.py",)


def test_an_unknown_price_makes_the_sum_unknown() -> None:
    known, unknown = Usage(1, 2, 3, 4, 0.5), Usage(1, 1, 1, 1, None)
    assert known.plus(known).usd == 1.0
    assert known.plus(unknown).usd is None
    assert known.plus(Usage(usd=1.0, source="computed")).source == "computed"


@pytest.mark.parametrize(
    ("wrote", "limit", "told"),
    [
        (Extent(5_240_000_000, 12), Extent(5 * 10**9, 10), "wrote 5.2 GB in 12 files; the limit is 5 GB"),
        (Extent(900, 1), Extent(800, 10), "wrote 900 bytes in 1 file; the limit is 800 bytes"),
        (Extent(2_000_000, 501_000), Extent(10**9, 500_000), "wrote 501,000 files (2 MB); the limit is 500,000 files"),
        (Extent(10, 10), Extent(10, 10), ""),
    ],
)
def test_an_extent_says_in_what_it_is_past_its_limit(wrote: Extent, limit: Extent, told: str) -> None:
    assert wrote.beyond(limit) == told
    assert wrote.beyond(limit.times(2**20)) == wrote.beyond(limit.union(wrote)) == ""


def test_a_disk_is_nearly_full_below_half_of_what_is_kept_and_has_room_above_all_of_it() -> None:
    disks = [Disk(Extent(left, 5), 1000) for left in (499, 500, 999, 1000)]
    assert [disk.nearly_full for disk in disks] == ["the disk has 499 bytes left and 1 KB are kept free", "", "", ""]
    assert [disk.has_room for disk in disks] == [False, False, False, True]
    assert disks[0].lost(disks[1])
    assert not disks[1].lost(disks[0])
    assert Disk(Extent(999, 4), 1000).lost(disks[2])


def test_errors_carry_kind_slug_hint_and_status() -> None:
    for kind, made in KINDS.items():
        assert made("m").as_dict()["kind"] == kind
    error = UserError("m", slug="s", hint="h", path="p")
    assert error.as_dict()["facts"] == {"path": "p"}
    assert HeddleError("m").exit_status == 70


def test_stages_follow_each_other() -> None:
    assert first_stage(Lane.QUICK) is Stage.EXECUTE
    assert stage_after(Stage.PLAN, Lane.STANDARD) is Stage.EXECUTE
    assert Task("T1", "r", "/r", "main", "  ").title == "(empty)"
    assert Task("T1", "r", "/r", "main", "x" * 99).title.endswith("…")
    assert Settings().sessions > 0


def recorded(*events: e.Event) -> list[e.Recorded]:
    return [e.Recorded("task:T1", n, n, float(n), "heddle", "", 1, event) for n, event in enumerate(events, 1)]


def run_after(*events: e.Event) -> Run:
    run = fold(recorded(e.TaskAdded(TASK), e.RunStarted(1, "base"), *events))
    assert run is not None
    return run


def test_what_a_plan_asks_is_open_until_its_gate_and_forgotten_with_the_plan() -> None:
    plan = plan_of(questions=[{"text": "name", "default": "a"}, {"text": "port", "default": "80"}])
    bound = digest(plan, "base")
    begun = (e.StageStarted(Stage.RESEARCH, 1, "k1"), e.ResearchDelivered(1, "facts"))
    begun += (e.GatePassed(Stage.RESEARCH, "research-1", "p"), e.StageStarted(Stage.PLAN, 1, "k2"))
    delivered = (*begun, e.PlanDelivered(1, plan, bound))
    asked = run_after(*delivered, e.QuestionAnswered("plan-1", "b"))
    assert [question.id for question in asked.questions] == ["plan-2"]
    assert asked.settled == (("name", "b"), ("port", "80"))
    passed = run_after(*delivered, e.QuestionAnswered("plan-1", "b"), e.GatePassed(Stage.PLAN, bound, "p"))
    assert (passed.questions, passed.settled) == ((), asked.settled)
    rejected = run_after(*delivered, e.QuestionAnswered("plan-1", "b"), e.GateRejected(Stage.PLAN, bound, "p", "no"))
    assert (rejected.questions, rejected.answers) == ((), ())
    outdated = run_after(*delivered, e.PlanOutdated("m1", "moved"))
    assert outdated.questions == ()
    assert run_after().settled == ()


def test_facts_before_the_task_tell_of_no_run() -> None:
    assert fold(recorded(e.RunPaused("p"))) is None
    assert fold([]) is None


def planned(*more: e.Event) -> Run:
    bound = digest(PLAN, "base")
    return run_after(
        e.StageStarted(Stage.RESEARCH, 1, "k1"),
        e.ResearchDelivered(1, "facts"),
        e.GatePassed(Stage.RESEARCH, "research-1", "nobody"),
        e.StageStarted(Stage.PLAN, 1, "k2"),
        e.PlanDelivered(1, PLAN, bound),
        *more,
    )


def test_p1_a_changed_base_voids_the_approval() -> None:
    bound = digest(PLAN, "base")
    run = planned(e.GatePassed(Stage.PLAN, bound, "person:p"))
    assert isinstance(run.activity, Idle)
    assert run.stage is Stage.EXECUTE
    moved = evolve(run, recorded(e.PlanOutdated("other", "moved"))[0])
    assert moved.approved == ""
    assert moved.stage is Stage.PLAN


def test_p1_execute_never_starts_on_another_plan_than_the_approved_one() -> None:
    from dataclasses import replace

    run = planned(e.GatePassed(Stage.PLAN, digest(PLAN, "base"), "person:p"))
    decision = decide(replace(run, base="other"), World())
    assert decision.reason == "approval-void"  # type: ignore[union-attr]


def test_a_check_that_nobody_saw_waits_for_a_person_even_when_nobody_decides() -> None:
    decision = decide(planned(), World(gates=Gates(()), approved=frozenset()))
    assert decision == Wait(Who.PERSON, "gate", "check 'true' was never approved by a person")


def test_a_delegation_passes_a_gate_or_says_why_not() -> None:
    gates = Gates((GateRule(Stage.PLAN, Decider.DELEGATION),))
    good, other = Delegation("docs", scope=("docs",)), Delegation("late", Stage.VALIDATE, ("**",))
    approved = frozenset({"true"})
    passed = decide(planned(), World(gates=gates, delegations=(other, good), approved=approved))
    assert passed.by == "delegation:docs"  # type: ignore[union-attr]
    refused = decide(planned(), World(gates=gates, delegations=(Delegation("x", scope=("src",)),), approved=approved))
    assert "outside" in refused.detail  # type: ignore[union-attr]
    assert decide(planned(), World(gates=gates)) == Wait(Who.PERSON, "gate", "the plan is ready")


STATES: list[tuple[Run, Decision, Status]] = [
    (run_after(), Wait(Who.MACHINE, "sessions", "full"), Status.READY),
    (run_after(), Wait(Who.TASK, "overlap", "kept apart"), Status.BLOCKED),
    (run_after(), Wait(Who.QUEUE, "queue", "behind T0"), Status.QUEUED),
    (run_after(), Wait(Who.PERSON, "commands", "allow?"), Status.WAITING),
    (run_after(), Wait(Who.PERSON, "paused", "go on"), Status.WAITING),
    (run_after(), decide(run_after(), World()), Status.READY),
]


@pytest.mark.parametrize(("run", "decision", "status"), STATES)
def test_c3_one_function_tells_the_status(run: Run, decision: Decision, status: Status) -> None:
    assert state(run, decision)[0] is status
    assert row(run, decision, 0.0, None).status is status


def test_the_inbox_names_commands_for_every_item() -> None:
    allow = inbox(run_after(), Wait(Who.PERSON, "commands", "allow?"))
    assert allow[0].kind == "commands"
    assert inbox(run_after(), Wait(Who.PERSON, "paused", "go on")) == ()
    held = run_after(e.RunHeld("red", "it is red"))
    assert inbox(held, decide(held, World()))[0].kind == "held-red"
    asks = run_after(e.StageStarted(Stage.RESEARCH, 1, "k"), e.QuestionAsked("q", "which?", (), "a", "s"))
    assert state(asks, decide(asks, World()))[0] is Status.WAITING
    assert inbox(asks, decide(asks, World()))[0].kind == "question"


def test_a_verdict_leaves_its_flags_on_the_board() -> None:
    verdict = Verdict(Colour.GREEN, "o", "c", "t", edited_tests=("tests/a.py",))
    result = e.ResultDelivered(1, "r", "t", "", ("a",), 3, 1, (), "done")
    run = run_after(
        result,
        e.VerdictReached(1, verdict),
        e.ScopeViolated(("x",)),
        e.ScopeViolated(("x",)),
        e.WorkspaceKept("w", "in use"),
        e.WorkspaceEntered("w.visit-1", "w", Stage.EXECUTE, ""),
    )
    shown = row(run, decide(run, World()), 0.0, None)
    assert shown.flags == ("edited-tests", "outside-scope", "kept-workspace", "person-inside")
    assert shown.changed == "1 files +3 -1"


def test_facts_that_do_not_fit_change_nothing_but_the_sequence() -> None:
    run = run_after()
    for event in (
        e.GatePassed(Stage.PLAN, "x", "p"),
        e.RunReleased("p", ""),
        e.GateRejected(Stage.PLAN, "x", "p", "r"),
    ):
        assert evolve(run, recorded(event)[0]).activity == run.activity
    stopped = run_after(e.RunStopped("enough"))
    assert evolve(stopped, recorded(e.StopRequested("p", "again"))[0]).activity == StoppedFor("enough")
    assert isinstance(run_after(e.RunHeld("x", "y")).activity, HeldUp)
    assert isinstance(run_after(e.StageStarted(Stage.RESEARCH, 1, "k")).activity, Active)
    assert isinstance(planned().activity, AtGate)


def test_the_timeline_tells_every_fact_that_people_care_about() -> None:
    told = timeline(
        recorded(
            e.TaskAdded(TASK),
            e.GatePassed(Stage.PLAN, "d", "person:p"),
            e.WorkspaceRemoved("w", "refs/heddle/recovery/w/1"),
            e.WorkspaceRemoved("w", ""),
            e.QuestionAnswered("q", "a"),
            e.MainMoved("m1"),
            e.RunReleased("p", "try"),
            e.StopRequested("p", "why"),
            e.VerdictReached(1, Verdict(Colour.RED, "o", "c", "t", reason="red")),
            e.CommandsApproved(("x",)),
        )
    )
    assert len(told) == 8


def landing_run(*more: e.Event) -> Run:
    bound = digest(PLAN, "base")
    green = Verdict(Colour.GREEN, "m0", "c0", "t")
    return planned(
        e.GatePassed(Stage.PLAN, bound, "person:p"),
        e.StageStarted(Stage.EXECUTE, 1, "k3"),
        e.WorkspaceCreated("w3", Stage.EXECUTE, "base", "base"),
        e.ResultDelivered(1, "r1", "t", "", ("docs/a",), 1, 0, (), "done"),
        e.GatePassed(Stage.EXECUTE, "r1", "nobody"),
        e.StageStarted(Stage.VALIDATE, 1, "k4"),
        e.WorkspaceCreated("w4", Stage.VALIDATE, "c0", "c0"),
        e.VerdictReached(1, green),
        e.WorkspaceRemoved("w4", ""),
        e.GatePassed(Stage.VALIDATE, "r1", "nobody"),
        *more,
    )


def test_m1_main_moved_means_validating_again_and_keeps_the_place_in_the_queue() -> None:
    run = landing_run(e.StageStarted(Stage.LAND, 1, "k5"), e.MainMoved("m1"))
    assert run.stage is Stage.VALIDATE
    assert run.ticket is not None
    assert decide(run, World()) == StartStage(Stage.VALIDATE, 2, "T1-1-validate-2")
    again = evolve(run, recorded(e.VerdictReached(2, Verdict(Colour.GREEN, "m1", "c1", "t")))[0])
    assert (again.stage, again.ticket) == (Stage.LAND, run.ticket)


def test_a_run_waits_for_its_place_and_for_room() -> None:
    assert decide(landing_run(), World()) == Wait(Who.QUEUE, QUEUE, "in the landing queue")
    assert decide(landing_run(), World(queue="number 2 of 3")) == Wait(Who.QUEUE, QUEUE, "number 2 of 3")
    landed = landing_run(e.StageStarted(Stage.LAND, 1, "k5"), e.Landed("c0", "main", "updated"))
    assert decide(landed, World()).workspace == "w3"  # type: ignore[union-attr]
    active = landing_run(e.StageStarted(Stage.LAND, 1, "k5"))
    assert state(active, decide(active, World())) == (Status.QUEUED, "landing")
    moved = landing_run(e.StageStarted(Stage.LAND, 1, "k5"), e.MainMoved("m1"))
    assert decide(moved, World(free_validations=0)).reason == "validations"  # type: ignore[union-attr]
    full = decide(moved, World(no_room="no memory"))
    assert isinstance(full, Wait)
    assert (full.who, full.reason, full.detail) == (Who.MACHINE, ROOM, "no memory")


def test_m7_nobody_is_validated_or_lands_while_the_branch_itself_is_red() -> None:
    red = decide(landing_run(), World(main_red="T9"))
    assert red == Wait(Who.TASK, e.MAIN_RED, "main itself is red; T9 is to repair it", "T9")
    blamed = landing_run(e.StageStarted(Stage.VALIDATE, 2, "k"), e.StageFailed(Stage.VALIDATE, 2, e.MAIN_RED, "red"))
    assert blamed.failed(Stage.VALIDATE) == 0
    assert landing_run(e.StageFailed(Stage.VALIDATE, 2, "setup-failed", "x")).failed(Stage.VALIDATE) == 1


def test_a_landing_under_way_is_not_stopped_and_one_that_was_aborted_is() -> None:
    boarded = (e.StageStarted(Stage.LAND, 1, "k5"), e.LandingStarted(1, "main", "m0", "c0", "t"))
    stop = e.StopRequested("p", "enough")
    assert decide(landing_run(*boarded, stop), World()) == PlayStage(Stage.LAND, 1, "k5")
    landed = landing_run(*boarded, stop, e.Landed("c0", "main", "updated"))
    assert (landed.stopping, evolve(landed, recorded(e.LandingAborted("late"))[0]).activity) == ("", landed.activity)
    aborted = landing_run(*boarded, e.LandingAborted("main moved"))
    assert decide(aborted, World()).reason == QUEUE  # type: ignore[union-attr]
    assert decide(landing_run(*boarded, stop, e.LandingAborted("main moved")), World()) == Stop("enough")
    assert decide(landing_run(*boarded, stop, e.RunHeld("x", "y")), World()) == Stop("enough")


def test_a_problem_under_an_attempt_waits_for_the_person() -> None:
    active = landing_run(e.StageStarted(Stage.LAND, 1, "k5"))
    stuck = Wait(Who.PERSON, PROBLEM, "the disk is full")
    assert state(active, stuck) == (Status.WAITING, "the disk is full")
    assert "heddle doctor" in inbox(active, stuck)[0].act
    assert decide(run_after(), World(free_sessions=0)).reason == "sessions"  # type: ignore[union-attr]


def test_a_superseded_workspace_is_removed_before_the_next_attempt() -> None:
    run = landing_run(
        e.StageStarted(Stage.VALIDATE, 2, "k6"),
        e.VerdictReached(2, Verdict(Colour.RED, "m0", "c0", "t", reason="red")),
        e.StageStarted(Stage.EXECUTE, 2, "k7"),
        e.WorkspaceCreated("w7", Stage.EXECUTE, "base", "r1"),
        e.StageFailed(Stage.EXECUTE, 2, "stalled", "no"),
    )
    assert decide(run, World()).workspace == "w3"  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("reason", "stage"), [("red", Stage.EXECUTE), ("approval-void", Stage.PLAN), ("x", Stage.LAND)]
)
def test_a_person_sends_a_held_run_to_the_stage_that_can_mend_it(reason: str, stage: Stage) -> None:
    assert landing_run(e.RunHeld(reason, "d"), e.RunReleased("p", "note")).stage is stage


def test_a_rejected_result_goes_back_to_execute() -> None:
    green = e.VerdictReached(2, Verdict(Colour.GREEN, "m0", "c0", "t"))
    other = e.ResultDelivered(2, "r2", "t", "", ("docs/a",), 1, 0, (), "done")
    run = landing_run(e.StageStarted(Stage.EXECUTE, 2, "k"), other)
    assert isinstance(run.activity, AtGate)
    judged = evolve(landing_run(e.PlanOutdated("m1", "moved")), recorded(green)[0])
    assert judged.ticket is not None
    gated = planned(
        e.GatePassed(Stage.PLAN, digest(PLAN, "base"), "p"),
        e.ResultDelivered(1, "r1", "t", "", ("docs/a",), 1, 0, (), "done"),
        e.GatePassed(Stage.EXECUTE, "r1", "nobody"),
        green,
        e.GateRejected(Stage.VALIDATE, "r1", "p", "not nice"),
    )
    assert (gated.stage, gated.evidence) == (Stage.EXECUTE, "not nice")


def test_delegations_of_other_stages_are_passed_over() -> None:
    gates = Gates((GateRule(Stage.PLAN, Decider.DELEGATION),))
    late = Delegation("late", Stage.VALIDATE, ("**",))
    assert decide(planned(), World(gates=gates, delegations=(late,))).detail == "the plan is ready"  # type: ignore[union-attr]
    moved = timeline(recorded(e.TaskAdded(TASK), e.PlanOutdated("m1", "moved"), e.Landed("c", "main", "updated")))
    assert len(moved) == 3


def test_an_undo_is_never_given_to_an_agent() -> None:
    undo = Task("T1", "r", "/r", "main", "undo", Lane.QUICK, "undo", checks=("true",))
    run = fold(recorded(e.TaskAdded(undo), e.RunStarted(1, "base")))
    assert run is not None
    assert decide(run, World()).reason == "undo-failed"  # type: ignore[union-attr]


def test_every_capability_has_its_meaning_with_and_without() -> None:
    assert set(MEANS) == set(WITHOUT) == set(NAMES)
    some = Capabilities(resume=True, ask=True)
    assert some.can("resume") and not some.can("fork")
    assert some.missing(("fork", "resume", "usage")) == ("fork", "usage")


def test_the_agents_of_a_stage_are_the_wanted_one_and_then_the_fallbacks() -> None:
    settings = Settings(
        agent="claude",
        model="m",
        agent_rules=(
            AgentRule("gemini", stage="plan", role="docs", lane="quick"),
            AgentRule("codex:gpt:1", stage="plan"),
            AgentRule("claude", stage="execute"),
        ),
        fallbacks=("codex", "claude"),
    )
    assert settings.candidates(TASK, Stage.RESEARCH) == (("claude", "m"), ("codex", ""))
    docs = Task("T1", "r", "/r", "main", "do it", Lane.QUICK, "docs")
    assert settings.candidates(docs, Stage.PLAN)[0] == ("gemini", "")
    assert settings.candidates(TASK, Stage.PLAN) == (("codex", "gpt:1"), ("claude", ""))
    assert settings.candidates(TASK, Stage.EXECUTE) == (("claude", "m"), ("codex", ""))
    assert settings.agents_wanted == {"claude", "codex", "gemini"}
