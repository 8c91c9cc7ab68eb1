"""Claude Code's stream as it really was: recorded sessions, replayed through the conversation."""

import json
from pathlib import Path
from typing import Any

import pytest

from claude_recordings import FOLDERS, recording, replay, sent
from heddle.adapters.agents.brands import load_brand
from heddle.adapters.agents.claude import ClaudeAgent, ClaudeConversation
from heddle.adapters.agents.claude.spend import limit_kind
from heddle.core.session import (
    Access,
    AgentReady,
    Allow,
    AnswerAsked,
    Answered,
    Brief,
    ContextSeen,
    Denied,
    Deny,
    DocumentOffered,
    Fact,
    Garbled,
    LimitKind,
    LimitSeen,
    PermissionAsked,
    RulesSeen,
    Said,
    Send,
    ToolCalled,
    ToolEnded,
    TurnEnded,
    TurnOutcome,
    Usage,
    UsageReported,
)
from heddle.ports import Exit

TREE = "/home/person/repo"
RECORDINGS = sorted(path for folder in FOLDERS for path in folder.glob("*.jsonl"))
KILLED = Exit(None, 9, "exited")


def entries(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def conversation(*, resume: str = "", options: tuple[tuple[str, str], ...] = ()) -> ClaudeConversation:
    made = ClaudeConversation(Brief("T1.1", "Go", Access.WRITE, TREE, "/out", resume=resume, options=options))
    made.open()
    return made


def told(made: ClaudeConversation, **line: Any) -> list[Fact | Send]:
    return made.receive(json.dumps(line).encode())


def asked(made: ClaudeConversation, id: str, tool: str, **input: Any) -> list[Fact | Send]:
    request = {"subtype": "can_use_tool", "tool_name": tool, "input": input}
    return told(made, type="control_request", request_id=id, request=request)


def result(**values: Any) -> dict[str, Any]:
    return {
        "type": "result",
        "subtype": "success",
        "is_error": False,
        "terminal_reason": "completed",
        **values,
    }


# --------------------------------------------------------------------------------------------- recordings


@pytest.mark.parametrize("path", RECORDINGS, ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_a_replay_sends_the_same_messages_with_the_same_ids(path: Path) -> None:
    lines = entries(path)
    first, second = replay(lines), replay(lines)
    assert first.sends == sent(lines)
    assert first == second
    assert len({message.id for message in first.sends}) == len(first.sends)


@pytest.mark.parametrize("path", RECORDINGS, ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_lines_that_are_not_the_protocol_are_kept_apart_and_change_nothing_else(path: Path) -> None:
    lines = entries(path)
    garbage = [
        '{"type": "assistant", "message": ' + "[" * 100_000,
        "Segmentation fault",
        "{",
        "[]",
        "{}",
        '{"type":7}',
        "null",
        '{"type":"result","usage":"many"}',
        "\x00\xff",
    ]
    spoiled = [item for entry in lines for item in (entry, *({"said": text} for text in garbage))]
    heard = replay(spoiled)
    clean = replay(lines)
    assert [fact for fact in heard.facts if not isinstance(fact, Garbled)] == clean.facts
    assert heard.sends == clean.sends
    assert len(heard.of(Garbled)) == len(garbage) * len(lines)


@pytest.mark.parametrize("path", RECORDINGS, ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_every_prompt_has_one_end_of_its_turn(path: Path) -> None:
    heard = replay(entries(path))
    prompts = [message for message in heard.sends if message.id.startswith("prompt:")]
    ends = heard.of(TurnEnded)
    assert len(ends) == len(prompts)


def test_a_finished_turn_tells_what_was_done_and_what_it_cost() -> None:
    heard = replay(recording("done"))
    assert heard.of(AgentReady) == [AgentReady("00000000-0000-4000-8000-000000000000", "claude-opus-5-5", "2.1.330")]
    assert [(call.kind, call.paths) for call in heard.of(ToolCalled)] == [
        ("read", (f"{TREE}/hello.txt",)),
        ("edit", (f"{TREE}/hello.txt",)),
        ("edit", (f"{TREE}/new.txt",)),
        ("run", ()),
    ]
    assert [call.call for call in heard.of(ToolCalled)] == [end.call for end in heard.of(ToolEnded)]
    assert all(end.ok for end in heard.of(ToolEnded))
    assert [(ask.kind, ask.command) for ask in heard.of(PermissionAsked)] == [
        ("edit", ""),
        ("edit", ""),
        ("run", "cat hello.txt > out.txt"),
    ]
    assert heard.of(UsageReported) == [UsageReported(Usage(5000, 250, 2000, 500, 0.0279, "list-price"))]
    assert heard.of(ContextSeen) == [ContextSeen(1501, 1_000_000)], "known once a result says what it can hold"
    assert heard.facts[-1] == TurnEnded(TurnOutcome.ENDED, "Done.")
    assert [said.text for said in heard.of(Said)] == ["I look first.", "Done."]


def test_a_plan_is_taken_as_a_document_and_ends_the_turn_well_without_execution() -> None:
    heard = replay(recording("plan"))
    (offered,) = heard.of(DocumentOffered)
    assert offered.text == "# Plan\n\nOne step.\n"
    (answer,) = [message for message in heard.sends if message.id == f"reply:{offered.request}"]
    response = json.loads(answer.data)["response"]["response"]
    assert (response["behavior"], response["interrupt"]) == ("deny", True)
    assert [end.outcome for end in heard.of(TurnEnded)] == [TurnOutcome.ENDED, TurnOutcome.ENDED]
    assert heard.of(TurnEnded)[1].text == "Mended."


def test_in_the_read_only_mode_edits_are_asked_for_and_refused() -> None:
    heard = replay(recording("plan"))
    assert [ask.paths for ask in heard.of(PermissionAsked)] == [(f"{TREE}/sneaky.txt",)]
    refused = [end for end in heard.of(ToolEnded) if not end.ok]
    assert refused[0].detail == "This stage is read-only."


def test_a_refused_permission_goes_back_with_its_reason_and_a_granted_one_with_its_arguments() -> None:
    heard = replay(recording("permission"))
    answers = [json.loads(message.data)["response"]["response"] for message in heard.sends if "reply:" in message.id]
    assert answers[0] == {"behavior": "deny", "message": "No commands."}
    assert answers[1] == {
        "behavior": "allow",
        "updatedInput": {"file_path": f"{TREE}/yes.txt", "content": "y"},
    }
    assert [end.ok for end in heard.of(ToolEnded)] == [False, True]


def test_questions_are_asked_one_by_one_and_answered_together() -> None:
    heard = replay(recording("question"))
    first, second = heard.of(AnswerAsked)
    assert (first.text, first.options, first.default) == (
        "Which colour?",
        ("Red (Recommended)", "Blue"),
        "Red (Recommended)",
    )
    assert (second.text, second.options, second.default) == ("How many?", ("One", "Two"), "")
    (answer,) = [message for message in heard.sends if message.id.startswith("reply:")]
    response = json.loads(answer.data)["response"]["response"]
    assert response["updatedInput"]["answers"] == {"Which colour?": "Mauve", "How many?": "Two"}
    assert "Mauve" in heard.of(ToolEnded)[0].detail


def test_a_vendor_that_is_down_for_a_while_is_a_limit_that_passes() -> None:
    heard = replay(recording("retry"))
    assert [(limit.kind, limit.retrying) for limit in heard.of(LimitSeen)] == [(LimitKind.OUTAGE, True)] * 2
    assert heard.facts[-1] == TurnEnded(TurnOutcome.ENDED, "It works again.")


def test_a_refused_key_ends_limited_though_the_program_calls_it_a_success() -> None:
    heard = replay(recording("unauthorised"))
    assert [(limit.kind, limit.retrying) for limit in heard.of(LimitSeen)] == [
        (LimitKind.AUTHENTICATION, True),
        (LimitKind.AUTHENTICATION, False),
    ]
    (end,) = heard.of(TurnEnded)
    assert end.outcome is TurnOutcome.LIMITED
    assert "Invalid API key" in end.error
    assert heard.of(UsageReported) == []


def test_a_spent_quota_tells_when_it_comes_back() -> None:
    heard = replay(recording("quota"))
    (limit,) = heard.of(LimitSeen)
    assert (limit.kind, limit.resets_at, limit.retrying) == (LimitKind.QUOTA, 2_000_000_000.0, False)
    assert heard.of(TurnEnded)[0].outcome is TurnOutcome.LIMITED


def test_an_interrupted_turn_says_so_and_the_conversation_goes_on() -> None:
    heard = replay(recording("interrupt"))
    assert [end.outcome for end in heard.of(TurnEnded)] == [TurnOutcome.INTERRUPTED, TurnOutcome.ENDED]
    assert heard.facts[-1] == TurnEnded(TurnOutcome.ENDED, "Back again.")


def test_a_withdrawn_request_is_not_answered_any_more() -> None:
    lines = recording("withdrawn")
    (ask,) = replay(lines).of(PermissionAsked)
    late = [*lines[:-1], {"reply": ask.request, "with": "Allow"}, lines[-1]]
    assert replay(late).sends == sent(lines)


def test_a_turn_with_two_results_ends_once_with_the_last_and_both_are_counted() -> None:
    heard = replay(recording("background"))
    assert [report.usage.input_tokens for report in heard.of(UsageReported)] == [3000, 2000]
    assert sum(report.usage.usd or 0 for report in heard.of(UsageReported)) == pytest.approx(0.0279)
    assert heard.of(TurnEnded) == [TurnEnded(TurnOutcome.ENDED, "Now it is done.")]
    assert "The child is done." not in [said.text for said in heard.of(Said)]
    assert len(heard.of(AgentReady)) == 1, "the program introduces itself with each result"


def test_a_killed_program_fails_its_turn_and_the_resumed_one_counts_only_itself() -> None:
    (end,) = replay(recording("killed")).of(TurnEnded)
    assert (end.outcome, end.error) == (
        TurnOutcome.FAILED,
        "the agent ended (signal 9) in the middle of its turn",
    )
    heard = replay(recording("resumed"))
    assert heard.of(UsageReported) == [UsageReported(Usage(1000, 50, 400, 100, 0.00558, "list-price"))]
    assert heard.facts[-1] == TurnEnded(TurnOutcome.ENDED, "Heard after all.")


def test_an_unknown_conversation_cannot_be_resumed() -> None:
    (end,) = replay(recording("unknown-session")).of(TurnEnded)
    assert end.outcome is TurnOutcome.FAILED
    assert "No conversation found" in end.error


def test_a_session_id_in_use_fails_with_the_words_of_the_program() -> None:
    (end,) = replay(recording("session-in-use")).of(TurnEnded)
    assert end.outcome is TurnOutcome.FAILED
    assert "already in use" in end.error


# ------------------------------------------------------------------------------- what was not recorded


def test_unknown_events_are_ignored() -> None:
    made = conversation()
    assert told(made, type="novelty", subtype="x", data=[1]) == []
    assert told(made, type="system", subtype="novelty") == []
    assert told(made, type="assistant", message={"content": [{"type": "novelty", "text": "?"}]}) == []


def test_a_request_that_is_not_ours_is_refused_so_that_the_agent_does_not_wait_for_ever() -> None:
    request = {"subtype": "hook_callback", "callback_id": "c"}
    (answer,) = told(conversation(), type="control_request", request_id="r1", request=request)
    assert isinstance(answer, Send)
    assert answer.id == "reply:r1"
    assert json.loads(answer.data)["response"]["subtype"] == "error"


def test_it_tells_which_rules_it_loads_in_a_document_and_anything_may_be_in_it() -> None:
    brief = Brief("T1.1", "Go", Access.WRITE, TREE, "/out dir")
    made = ClaudeAgent(load_brand("claude"), {})
    (settings,) = (json.loads(word.partition("=")[2]) for word in made.command(brief).argv if "--settings=" in word)
    (hook,) = settings["hooks"]["InstructionsLoaded"][0]["hooks"]
    assert hook["command"] == "cat >> '/out dir/rules-T1.1.jsonl'"
    told = [
        {"file_path": "/repo/CLAUDE.md", "load_reason": "session_start"},
        {"file_path": "/repo/x.md", "load_reason": "include", "parent_file_path": "/repo/CLAUDE.md"},
        {"file_path": ["no"], "load_reason": 7},
        ["no"],
        {"file_path": "/y", "trigger_file_path": "/z"},
    ]
    data = "".join(map(json.dumps, told)).encode() + b"\n"
    seen = (
        RulesSeen("/repo/CLAUDE.md", "session_start"),
        RulesSeen("/repo/x.md", "include", "/repo/CLAUDE.md"),
        RulesSeen("/y", "", "/z"),
    )
    assert made.told_rules(data) == made.told_rules(data + b"{broken \xff") == seen
    assert made.told_rules(b"") == made.told_rules(b"[" * 100_000) == made.told_rules(b"\xff") == ()
    assert len(made.told_rules(data * 1000)) <= 502


def test_a_request_is_answered_once() -> None:
    made = conversation()
    asked(made, "r1", "Write", file_path="a", content="b")
    assert [message.id for message in made.reply("r1", Allow())] == ["reply:r1"]
    assert made.reply("r1", Deny("late")) == []
    assert made.reply("never asked", Allow()) == []


def test_a_question_that_is_refused_takes_its_siblings_with_it() -> None:
    made = conversation()
    questions = [{"question": "A?", "options": []}, {"question": "B?"}]
    first, second = asked(made, "r1", "AskUserQuestion", questions=questions)
    assert isinstance(first, AnswerAsked)
    assert isinstance(second, AnswerAsked)
    (refusal,) = made.reply(second.request, Deny("nobody is there"))
    assert (refusal.id, b"nobody is there" in refusal.data) == ("reply:r1", True)
    assert made.reply(first.request, Answered("late")) == []


def test_a_call_without_questions_is_answered_at_once() -> None:
    (refusal,) = asked(conversation(), "r1", "AskUserQuestion", questions="none")
    assert isinstance(refusal, Send)
    assert refusal.id == "reply:r1"


def test_a_plan_that_is_refused_goes_back_to_the_agent_and_the_turn_goes_on() -> None:
    made = conversation()
    (offered,) = asked(made, "r1", "ExitPlanMode", plan="# P")
    assert offered == DocumentOffered("# P", "r1")
    (refusal,) = made.reply("r1", Deny("too long"))
    response = json.loads(refusal.data)["response"]["response"]
    assert response == {"behavior": "deny", "message": "too long"}


def test_a_refusal_without_asking_is_a_fact() -> None:
    line = {"type": "system", "subtype": "permission_denied", "tool_name": "Bash", "tool_use_id": "t1"}
    assert told(conversation(), **line) == [Denied("t1", "Bash")]


def test_a_program_that_does_not_tell_its_state_ends_its_turn_with_the_result() -> None:
    facts = told(conversation(), **result(result="Done.", usage={"input_tokens": 3, "output_tokens": 4}))
    assert facts[-1] == TurnEnded(TurnOutcome.ENDED, "Done.")


def test_a_result_whose_program_ends_before_it_is_idle_still_counts() -> None:
    made = conversation()
    told(made, type="system", subtype="session_state_changed", state="running")
    assert told(made, **result(result="Done.")) == []
    assert made.exited(KILLED, "") == [TurnEnded(TurnOutcome.ENDED, "Done.")]
    assert made.exited(KILLED, "") == []


@pytest.mark.parametrize(
    ("resume", "options", "costs"),
    [
        ("", (), [0.5, 0.25]),
        ("earlier", (("cost_baseline", "0.4"),), [0.1, 0.25]),
        ("earlier", (), [None, 0.25]),
        ("earlier", (("cost_baseline", "much"),), [None, 0.25]),
    ],
)
def test_without_deltas_the_cost_is_told_from_totals_and_unknown_where_the_first_total_is_inherited(
    resume: str, options: tuple[tuple[str, str], ...], costs: list[float | None]
) -> None:
    made = conversation(resume=resume, options=options)
    found = []
    for number, total in enumerate((0.5, 0.75), start=2):
        facts = told(made, **result(total_cost_usd=total, usage={"input_tokens": 1}))
        found += [fact.usage.usd for fact in facts if isinstance(fact, UsageReported)]
        made.prompt("more", number)
    assert found == [cost if cost is None else pytest.approx(cost) for cost in costs]


@pytest.mark.parametrize(
    ("status", "fault", "kind"),
    [
        (429, None, LimitKind.THROTTLE),
        (401, None, LimitKind.AUTHENTICATION),
        (403, None, LimitKind.AUTHENTICATION),
        (402, None, LimitKind.BILLING),
        (400, "billing_error", LimitKind.BILLING),
        (529, None, LimitKind.OUTAGE),
        (500, "unknown", LimitKind.OUTAGE),
        (None, "server_error", LimitKind.OUTAGE),
        (400, "unknown", None),
        (None, None, None),
    ],
)
def test_limits_are_told_from_status_and_code_never_from_words(
    status: int | None, fault: str | None, kind: LimitKind | None
) -> None:
    assert limit_kind(status, fault) is kind


@pytest.mark.parametrize(
    ("subtype", "reason", "outcome"),
    [
        ("error_max_turns", "max_turns", TurnOutcome.FAILED),
        ("error_max_budget_usd", "budget_exhausted", TurnOutcome.FAILED),
        ("error_during_execution", "aborted_tools", TurnOutcome.INTERRUPTED),
    ],
)
def test_an_end_that_is_no_success_is_told_as_what_it_is(subtype: str, reason: str, outcome: TurnOutcome) -> None:
    facts = told(conversation(), **result(subtype=subtype, is_error=True, terminal_reason=reason))
    (end,) = [fact for fact in facts if isinstance(fact, TurnEnded)]
    assert end.outcome is outcome
    assert (subtype in end.error) is (outcome is TurnOutcome.FAILED)


def test_a_program_that_was_told_to_leave_says_nothing_more_and_its_turn_has_failed() -> None:
    """On SIGTERM it exits with 143 and without a result."""
    (end,) = conversation().exited(Exit(143, None, "exited"), "")
    assert (end.outcome, "status 143" in end.error) == (TurnOutcome.FAILED, True)  # type: ignore[union-attr]


@pytest.mark.parametrize(("status", "limits"), [("allowed", 0), ("allowed_warning", 0), ("rejected", 1)])
def test_a_warning_of_a_limit_is_no_limit(status: str, limits: int) -> None:
    made = conversation()
    info = {"status": status, "resetsAt": 2e9, "rateLimitType": "five_hour", "utilization": 0.92}
    facts = told(made, type="rate_limit_event", rate_limit_info=info)
    assert [type(fact) for fact in facts] == [LimitSeen] * limits
    end = told(made, **result(is_error=True, result="no"))[-1]
    assert end == TurnEnded(TurnOutcome.LIMITED if limits else TurnOutcome.FAILED, "", "no")


def test_what_the_model_began_to_say_is_no_measure_of_what_it_said() -> None:
    """`output_tokens` of a message is that of its start; a result has the true sum."""
    made = conversation()
    message = {"content": [{"type": "text", "text": "Done."}], "usage": {"input_tokens": 9, "output_tokens": 1}}
    facts = told(made, type="assistant", message=message)
    facts += told(made, **result(result="Done.", usage={"input_tokens": 9, "output_tokens": 40}))
    assert [fact.usage.output_tokens for fact in facts if isinstance(fact, UsageReported)] == [40]


def test_a_bad_request_is_a_failure_and_no_limit() -> None:
    line = result(is_error=True, terminal_reason="api_error", api_error_status=400, result="prompt is too long")
    assert told(conversation(), **line) == [TurnEnded(TurnOutcome.FAILED, "", "prompt is too long")]


def test_a_fault_of_one_turn_does_not_colour_the_next() -> None:
    made = conversation()
    told(made, type="assistant", message={"content": "API Error"}, error="rate_limit")
    failed = told(made, **result(is_error=True, terminal_reason="api_error", api_error_status=429, result="no"))
    assert failed[-1] == TurnEnded(TurnOutcome.LIMITED, "", "no")
    made.prompt("again", 2)
    failed = told(made, **result(is_error=True, terminal_reason="api_error", api_error_status=400, result="bad"))
    assert failed == [TurnEnded(TurnOutcome.FAILED, "", "bad")]
