"""Codex' stream as it really was: recorded sessions, replayed through the conversation."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from codex_recordings import FOLDERS, recording, replay, sent
from heddle.adapters.agents.codex import CodexConversation
from heddle.adapters.agents.codex.spend import Account
from heddle.adapters.agents.codex.wire import NOTICES, REQUESTS, Standing, Window
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
from support.recordings import entries_of

TREE = "/home/person/repo"
RECORDINGS = sorted(path for folder in FOLDERS for path in folder.glob("*.jsonl"))
KILLED = Exit(None, 9, "exited")


def by_name(path: Path) -> str:
    return f"{path.parent.name}/{path.stem}"


def begun(*, resume: str = "", turn: bool = True) -> CodexConversation:
    """A conversation in its first turn."""
    made = CodexConversation(Brief("T1.1", "Go", Access.WRITE, TREE, "/out", resume=resume))
    made.open()
    answered(made, "initialize", userAgent="heddle/0.169.0 (x)")
    answered(made, "thread", thread={"id": "t"}, model="m")
    if turn:
        answered(made, "prompt:1", turn={"id": "u", "status": "inProgress"})
    return made


def answered(made: CodexConversation, id: str, **result: Any) -> list[Fact | Send]:
    return made.receive(json.dumps({"id": id, "result": result}).encode())


def told(made: CodexConversation, method: str, /, **params: Any) -> list[Fact | Send]:
    return made.receive(json.dumps({"method": method, "params": {"threadId": "t", **params}}).encode())


def asked(made: CodexConversation, id: int | str, method: str, /, **params: Any) -> list[Fact | Send]:
    message = {"id": id, "method": method, "params": {"threadId": "t", "turnId": "u", **params}}
    return made.receive(json.dumps(message).encode())


def item(made: CodexConversation, state: str, kind: str, /, id: str = "i", **more: Any) -> list[Fact | Send]:
    return told(made, f"item/{state}", item={"type": kind, "id": id, **more})


def completed(made: CodexConversation, status: str = "completed", **turn: Any) -> list[Fact | Send]:
    return told(made, "turn/completed", turn={"id": "u", "status": status, **turn})


def failed(made: CodexConversation, info: Any, *, retry: bool = False) -> list[Fact | Send]:
    return told(made, "error", error={"message": "no", "codexErrorInfo": info}, willRetry=retry)


def body(send: Fact | Send) -> dict[str, Any]:
    assert isinstance(send, Send)
    found: dict[str, Any] = json.loads(send.data)
    return found


# --------------------------------------------------------------------------------------------- recordings


@pytest.mark.parametrize("path", RECORDINGS, ids=by_name)
def test_a_replay_sends_the_same_messages_with_the_same_ids(path: Path) -> None:
    lines = entries_of(path)
    first, second = replay(lines), replay(lines)
    assert first.sends == sent(lines)
    assert first == second
    assert len({message.id for message in first.sends}) == len(first.sends)


@pytest.mark.parametrize("path", RECORDINGS, ids=by_name)
def test_lines_that_are_not_the_protocol_are_kept_apart_and_change_nothing_else(path: Path) -> None:
    lines = entries_of(path)
    garbage = [
        "Segmentation fault",
        "{",
        "[]",
        "{}",
        '{"id":[]}',
        "null",
        '{"method":"turn/completed"}',
        '{"method":"item/started","params":{"item":{"type":7}}}',
        '{"method":"error","params":[]}',
        "[" * 100_000,
        "\x00\xff",
    ]
    spoiled = [entry for line in lines for entry in (line, *({"said": text} for text in garbage))]
    heard, clean = replay(spoiled), replay(lines)
    assert [fact for fact in heard.facts if not isinstance(fact, Garbled)] == clean.facts
    assert heard.sends == clean.sends
    assert len(heard.of(Garbled)) == len(garbage) * len(lines)


@pytest.mark.parametrize("path", RECORDINGS, ids=by_name)
def test_every_prompt_has_one_end_of_its_turn(path: Path) -> None:
    heard = replay(entries_of(path))
    prompts = [message for message in heard.sends if message.id.startswith("prompt:")]
    assert len(heard.of(TurnEnded)) == max(1, len(prompts))


def test_a_finished_turn_tells_what_was_done_and_what_it_used() -> None:
    heard = replay(recording("done"))
    ready = AgentReady("00000000-0000-4000-8000-000000000000", heard.of(AgentReady)[0].model, "0.169.0")
    assert heard.of(AgentReady) == [ready]
    assert [(call.kind, call.title, call.paths) for call in heard.of(ToolCalled)] == [
        ("read", f"cat {TREE}/hello.txt", (f"{TREE}/hello.txt",)),
        ("edit", f"edit {TREE}/hello.txt", (f"{TREE}/hello.txt",)),
        ("edit", f"edit {TREE}/new.txt", (f"{TREE}/new.txt",)),
        ("run", "cat hello.txt > out.txt", ()),
    ]
    assert [call.call for call in heard.of(ToolCalled)] == [end.call for end in heard.of(ToolEnded)]
    assert all(end.ok for end in heard.of(ToolEnded))
    assert [(ask.kind, ask.paths, ask.command) for ask in heard.of(PermissionAsked)] == [
        ("read", (), f"cat {TREE}/hello.txt"),
        ("edit", (f"{TREE}/hello.txt",), ""),
        ("edit", (f"{TREE}/new.txt",), ""),
        ("run", (), "cat hello.txt > out.txt"),
    ]
    assert heard.of(UsageReported) == [UsageReported(Usage(5000, 250, 2000, 500, None))]
    assert set(heard.of(ContextSeen)) == {ContextSeen(1550, 258_400)}
    assert heard.facts[-1] == TurnEnded(TurnOutcome.ENDED, "Done.")
    assert [said.text for said in heard.of(Said)] == ["I look first.", "Done."]


def test_a_refusal_is_told_with_its_reason_in_the_same_turn() -> None:
    heard = replay(recording("permission"))
    assert [message.id for message in heard.sends[-3:]] == ["why:0", "reply:0", "reply:1"]
    why, decline, accept = map(body, heard.sends[-3:])
    assert (decline["result"], accept["result"]) == ({"decision": "decline"}, {"decision": "accept"})
    assert why["params"]["input"][0]["text"] == "That was refused: No commands."
    assert [end.ok for end in heard.of(ToolEnded)] == [False, True]


def test_questions_are_asked_one_by_one_and_answered_together() -> None:
    heard = replay(recording("question"))
    first, second = heard.of(AnswerAsked)
    assert (first.request, first.text, first.options, first.default) == (
        "0",
        "Which colour?",
        ("Red (Recommended)", "Blue"),
        "Red (Recommended)",
    )
    assert (second.request, second.text, second.options, second.default) == ("0#2", "How many?", ("One", "Two"), "")
    (answer,) = [message for message in heard.sends if message.id.startswith("reply:")]
    assert body(answer)["result"] == {"answers": {"colour": {"answers": ["Mauve"]}, "number": {"answers": ["Two"]}}}


@pytest.mark.parametrize(
    ("name", "kind", "resets_at"),
    [
        ("unauthorised", LimitKind.AUTHENTICATION, None),
        ("throttled", LimitKind.THROTTLE, None),
        ("quota", LimitKind.QUOTA, 2_000_000_000.0),
        ("unpaid", LimitKind.BILLING, None),
        ("dropped", LimitKind.OUTAGE, None),
    ],
)
def test_a_turn_that_meets_a_limit_is_limited(name: str, kind: LimitKind, resets_at: float | None) -> None:
    heard = replay(recording(name))
    assert {limit.kind for limit in heard.of(LimitSeen)} == {kind}
    assert [limit.retrying for limit in heard.of(LimitSeen)][-1] is False
    assert heard.of(LimitSeen)[-1].resets_at == resets_at
    (end,) = heard.of(TurnEnded)
    assert (end.outcome, bool(end.error)) == (TurnOutcome.LIMITED, True)
    assert heard.of(UsageReported) == []


def test_a_limit_that_passes_is_told_while_the_turn_goes_on() -> None:
    heard = replay(recording("retry"))
    assert [(limit.kind, limit.retrying) for limit in heard.of(LimitSeen)] == [(LimitKind.AUTHENTICATION, True)]
    assert heard.facts[-1] == TurnEnded(TurnOutcome.ENDED, "It works again.")


def test_an_interrupted_turn_says_so_and_the_conversation_goes_on() -> None:
    heard = replay(recording("interrupt"))
    assert [end.outcome for end in heard.of(TurnEnded)] == [TurnOutcome.INTERRUPTED, TurnOutcome.ENDED]
    assert heard.facts[-1] == TurnEnded(TurnOutcome.ENDED, "Back again.")


def test_a_withdrawn_request_is_not_answered_any_more() -> None:
    lines = recording("withdrawn")
    (ask,) = replay(lines).of(PermissionAsked)
    late = [*lines[:-1], {"reply": ask.request, "with": "Allow"}, lines[-1]]
    assert replay(late).sends == sent(lines)


def test_a_killed_program_fails_its_turn_and_the_resumed_one_counts_only_itself() -> None:
    lost = replay(recording("killed"))
    (end,) = lost.of(TurnEnded)
    assert (end.outcome, end.error) == (TurnOutcome.FAILED, "the agent ended (signal 9) in the middle of its turn")
    assert lost.of(UsageReported) == [UsageReported(Usage(1000, 50, 400, 100, None))]
    heard = replay(recording("resumed"))
    assert heard.of(UsageReported) == [UsageReported(Usage(1000, 50, 400, 100, None))]
    assert heard.facts[-1] == TurnEnded(TurnOutcome.ENDED, "Heard after all.")


def test_an_unknown_conversation_cannot_be_resumed() -> None:
    heard = replay(recording("unknown-session"))
    (end,) = heard.of(TurnEnded)
    assert end.outcome is TurnOutcome.FAILED
    assert "no rollout found" in end.error
    assert heard.of(AgentReady) == []


# ------------------------------------------------------------------------------- what was not recorded


def test_unknown_notices_and_answers_are_ignored() -> None:
    made = begun()
    assert told(made, "novelty/happened", data=[1]) == []
    assert item(made, "completed", "novelty", text="?") == []
    assert answered(made, "never asked", thread={"id": "other"}) == []
    assert answered(made, "thread", thread={"id": "other"}) == [], "an answer counts once"


def test_a_request_that_is_not_ours_is_refused_so_that_the_agent_does_not_wait_for_ever() -> None:
    made = begun()
    for method in ("attestation/generate", "item/permissions/requestApproval", "mcpServer/elicitation/request"):
        (answer,) = asked(made, "r", method)
        assert body(answer)["error"]["code"] == -32601
    (answer,) = asked(made, 7, "item/commandExecution/requestApproval", command=["not", "a", "text"])
    assert (body(answer)["id"], "error" in body(answer)) == (7, True)


def test_a_call_of_a_tool_server_is_permitted_like_any_other() -> None:
    made = begun()
    told = {"codex_approval_kind": "mcp_tool_call", "tool_name": "shout"}
    for number, reply, action in ((1, Allow(), "accept"), (2, Deny("no"), "decline")):
        (ask,) = asked(made, number, "mcpServer/elicitation/request", serverName="srv", _meta=told)
        assert ask == PermissionAsked(str(number), "other", "srv shout")
        assert body(made.reply(str(number), reply)[-1])["result"]["action"] == action
    (answer,) = asked(made, 3, "mcpServer/elicitation/request", serverName="srv", message="Your password?")
    assert "error" in body(answer)


def test_a_request_is_answered_once() -> None:
    made = begun()
    asked(made, 1, "item/commandExecution/requestApproval", command="bash -lc 'rm a'")
    assert [message.id for message in made.reply("1", Allow())] == ["reply:1"]
    assert made.reply("1", Deny("late")) == []
    assert made.reply("never asked", Allow()) == []


def test_a_request_that_the_program_settled_itself_is_withdrawn() -> None:
    made = begun()
    asked(made, 1, "item/tool/requestUserInput", questions=[{"id": "a", "question": "A?"}, {"id": "b"}])
    told(made, "serverRequest/resolved", requestId=1)
    assert made.reply("1", Answered("x")) == made.reply("1#2", Answered("y")) == []


def test_questions_that_are_refused_are_answered_with_the_reason() -> None:
    made = begun()
    asked(made, 1, "item/tool/requestUserInput", questions=[{"id": "a", "question": "A?"}])
    (answer,) = made.reply("1", Deny("nobody is there"))
    assert body(answer)["result"] == {"answers": {"a": {"answers": ["nobody is there"]}}}
    (answer,) = asked(made, 2, "item/tool/requestUserInput", questions=[])
    assert body(answer)["result"] == {"answers": {}}


def test_a_change_of_files_that_were_not_told_is_refused_at_once() -> None:
    denied, answer = asked(begun(), 1, "item/fileChange/requestApproval", itemId="unknown")
    assert denied == Denied("unknown", "a change of unknown files")
    assert body(answer)["result"] == {"decision": "decline"}


def test_a_change_is_judged_by_all_that_it_writes() -> None:
    made = begun()
    moved = {"path": "/w/a", "kind": {"type": "update", "move_path": "/w/b"}}
    item(made, "started", "fileChange", status="inProgress", changes=[moved])
    told(made, "item/fileChange/patchUpdated", itemId="i", changes=[{"path": "/w/c", "kind": {"type": "add"}}])
    (ask,) = asked(made, 1, "item/fileChange/requestApproval", itemId="i", grantRoot="/w")
    assert isinstance(ask, PermissionAsked)
    assert (ask.kind, ask.paths) == ("edit", ("/w/a", "/w/b", "/w/c", "/w"))


def test_what_is_typed_into_a_command_is_no_reading() -> None:
    command = "bash -lc 'cat a'"
    (ask,) = asked(begun(), 1, "item/commandExecution/requestApproval", kind="writeStdin", command=command)
    assert isinstance(ask, PermissionAsked)
    assert ask.kind == "run"
    (ask,) = asked(begun(), 1, "item/commandExecution/requestApproval", reason="to reach a host")
    assert isinstance(ask, PermissionAsked)
    assert (ask.kind, ask.title, ask.command) == ("run", "to reach a host", "")


@pytest.mark.parametrize(
    ("kind", "more", "call"),
    [
        ("webSearch", {"query": "how"}, ("fetch", "how", ())),
        ("imageView", {"path": "/a.png"}, ("read", "/a.png", ("/a.png",))),
        ("mcpToolCall", {"server": "s", "tool": "t"}, ("other", "s t", ())),
        ("sleep", {}, ("think", "sleep", ())),
    ],
)
def test_other_calls_are_told_too(kind: str, more: dict[str, str], call: tuple[str, str, tuple[str, ...]]) -> None:
    made = begun()
    found, end = item(made, "completed", kind, **more)
    assert found == ToolCalled("i", *call)
    assert end == ToolEnded("i", True)


def test_the_answer_of_a_turn_is_the_last_message_or_the_one_marked_as_such() -> None:
    made = begun()
    item(made, "completed", "agentMessage", text="first")
    item(made, "completed", "agentMessage", text="answer", phase="final_answer")
    item(made, "completed", "agentMessage", text="by the way", phase="commentary")
    assert completed(made) == [TurnEnded(TurnOutcome.ENDED, "answer")]


def test_it_tells_which_rules_it_loaded() -> None:
    for sources, seen in ((["/repo/AGENTS.md", 7], [RulesSeen("/repo/AGENTS.md")]), (None, []), ("x", [])):
        made = CodexConversation(Brief("T1.1", "Go", Access.WRITE, "/repo", "/out"))
        made.open()
        answered(made, "initialize")
        facts = answered(made, "thread", thread={"id": "t"}, instructionSources=sources)
        assert [fact for fact in facts if isinstance(fact, RulesSeen)] == seen


def test_what_another_thread_says_is_not_the_answer_and_ends_nothing() -> None:
    made = begun()
    assert told(made, "item/completed", threadId="x", item={"type": "agentMessage", "id": "1", "text": "no"}) == []
    assert told(made, "turn/completed", threadId="x", turn={"id": "u", "status": "completed"}) == []
    assert told(made, "turn/completed", turn={"id": "earlier", "status": "completed"}) == []
    assert completed(made) == [TurnEnded(TurnOutcome.ENDED)]
    assert completed(made) == [], "a turn ends once"


def usage(made: CodexConversation, total: int, last: int, turn: str = "u") -> None:
    counts = {"total": {"inputTokens": total}, "last": {"inputTokens": last}}
    assert told(made, "thread/tokenUsage/updated", turnId=turn, tokenUsage=counts) == []


def test_usage_is_what_was_used_since_and_nothing_is_counted_twice() -> None:
    made = begun()
    usage(made, 500, 500, "an earlier turn")
    usage(made, 800, 300)
    usage(made, 800, 300)
    usage(made, 1000, 200)
    facts = completed(made)
    assert facts[0] == UsageReported(Usage(500, usd=None))
    made.prompt("more", 2)
    answered(made, "prompt:2", turn={"id": "v"})
    usage(made, 1100, 100, "v")
    assert told(made, "turn/completed", turn={"id": "v", "status": "completed"})[0] == UsageReported(
        Usage(100, usd=None)
    )


@pytest.mark.parametrize(
    ("info", "kind"),
    [
        ("rateLimitExceeded", LimitKind.THROTTLE),
        ("serverOverloaded", LimitKind.OUTAGE),
        ("internalServerError", LimitKind.OUTAGE),
        ("unauthorized", LimitKind.AUTHENTICATION),
        ("usageLimitExceeded", LimitKind.BILLING),
        ({"httpConnectionFailed": {"httpStatusCode": 401}}, LimitKind.AUTHENTICATION),
        ({"httpConnectionFailed": {"httpStatusCode": 403}}, LimitKind.AUTHENTICATION),
        ({"httpConnectionFailed": {"httpStatusCode": 402}}, LimitKind.BILLING),
        ({"responseTooManyFailedAttempts": {"httpStatusCode": 429}}, LimitKind.THROTTLE),
        ({"responseStreamDisconnected": {"httpStatusCode": 529}}, LimitKind.OUTAGE),
        ({"responseStreamConnectionFailed": {"httpStatusCode": None}}, LimitKind.OUTAGE),
        ({"httpConnectionFailed": {"httpStatusCode": 404}}, None),
        ({"activeTurnNotSteerable": {"turnKind": "review"}}, None),
        ({"httpConnectionFailed": 401}, LimitKind.OUTAGE),
        ("contextWindowExceeded", None),
        ("badRequest", None),
        ("other", None),
        ([429], None),
        (None, None),
    ],
)
def test_limits_are_told_from_codes_never_from_words(info: object, kind: LimitKind | None) -> None:
    found = Account().limit(info)
    assert (found and found[0]) is kind
    made = begun()
    failed(made, info)
    (*_, end) = completed(made, "failed", error={"message": "too many requests, rate limit", "codexErrorInfo": info})
    assert isinstance(end, TurnEnded)
    assert end.outcome is (TurnOutcome.LIMITED if kind else TurnOutcome.FAILED)


@pytest.mark.parametrize(
    ("standing", "limit"),
    [
        (Standing(Window(100, 5.0), Window(40, 9.0)), (LimitKind.QUOTA, 5.0)),
        (Standing(Window(100, 5.0), Window(100, 9.0)), (LimitKind.QUOTA, 9.0)),
        (Standing(Window(80, 5.0)), (LimitKind.QUOTA, None)),
        (Standing(Window(100, 5.0), None, "rate_limit_reached"), (LimitKind.QUOTA, 5.0)),
        (Standing(Window(100, 5.0), None, "workspace_owner_credits_depleted"), (LimitKind.BILLING, None)),
        (Standing(Window(100, 5.0), None, None, True), (LimitKind.BILLING, None)),
        (Standing(), (LimitKind.BILLING, None)),
    ],
)
def test_a_spent_quota_and_an_unpaid_bill_are_told_apart_by_the_accounts_standing(
    standing: Standing, limit: tuple[LimitKind, float | None]
) -> None:
    account = Account()
    account.learn(standing)
    assert account.limit("usageLimitExceeded") == limit


def test_a_warning_of_a_limit_is_no_limit() -> None:
    made = begun()
    assert told(made, "account/rateLimits/updated", rateLimits={"primary": {"usedPercent": 92, "resetsAt": 5}}) == []
    assert completed(made) == [TurnEnded(TurnOutcome.ENDED)]


def test_a_failure_in_the_turn_alone_is_told_as_well() -> None:
    facts = completed(begun(), "failed", error={"message": "no", "codexErrorInfo": "unauthorized"})
    assert facts == [LimitSeen(LimitKind.AUTHENTICATION, "no"), TurnEnded(TurnOutcome.LIMITED, "", "no")]


def test_a_last_word_that_says_nothing_means_what_the_retries_said_unless_it_had_worked_since() -> None:
    made = begun()
    failed(made, {"responseStreamDisconnected": {"httpStatusCode": 503}}, retry=True)
    assert failed(made, "other") == [LimitSeen(LimitKind.OUTAGE, "no")]
    made = begun()
    failed(made, {"responseStreamDisconnected": {"httpStatusCode": 503}}, retry=True)
    usage(made, 10, 10)
    assert failed(made, "other") == []
    assert completed(made, "failed", error={"message": "bad"})[-1] == TurnEnded(TurnOutcome.FAILED, "", "bad")


def test_a_fault_of_one_turn_does_not_colour_the_next() -> None:
    made = begun()
    failed(made, "rateLimitExceeded")
    assert completed(made, "failed")[-1] == TurnEnded(TurnOutcome.LIMITED, "", "the turn was failed")
    made.prompt("again", 2)
    answered(made, "prompt:2", turn={"id": "v"})
    (end,) = told(made, "turn/completed", turn={"id": "v", "status": "failed", "error": {"message": "bad"}})
    assert end == TurnEnded(TurnOutcome.FAILED, "", "bad")


def test_an_interrupt_waits_until_the_turn_has_an_id() -> None:
    made = begun(turn=False)
    assert made.interrupt() == []
    (message,) = told(made, "turn/started", turn={"id": "u", "status": "inProgress"})
    assert body(message)["params"] == {"threadId": "t", "turnId": "u"}
    assert answered(made, "prompt:1", turn={"id": "u"}) == []
    assert [one.id for one in made.interrupt()] == ["interrupt:2"]
    completed(made, "interrupted")
    assert made.interrupt() == [], "no turn is open"


@pytest.mark.parametrize("at", ["initialize", "thread", "prompt:1"])
def test_a_beginning_that_is_refused_fails_the_turn(at: str) -> None:
    made = CodexConversation(Brief("T1.1", "Go", Access.READ, TREE, "/out"))
    made.open()
    for id in ("initialize", "thread", "prompt:1"):
        if id == at:
            break
        answered(made, id, thread={"id": "t"})
    refusal = made.receive(json.dumps({"id": at, "error": {"code": -32600, "message": "not this way"}}).encode())
    assert refusal == [TurnEnded(TurnOutcome.FAILED, "", "not this way")]
    assert made.exited(KILLED, "") == []


def test_an_answer_that_cannot_be_read_is_kept_apart_and_a_good_one_still_counts() -> None:
    made = CodexConversation(Brief("T1.1", "Go", Access.READ, TREE, "/out"))
    made.open()
    answered(made, "initialize")
    (garbled,) = answered(made, "thread", thread=None)
    assert isinstance(garbled, Garbled)
    assert AgentReady("t") in answered(made, "thread", thread={"id": "t"})


def test_the_end_of_the_program_says_its_last_words() -> None:
    (end,) = begun().exited(Exit(1, None, "exited"), "a warning\nError: no such setting\n")
    assert isinstance(end, TurnEnded)
    assert end.error == "the agent ended (status 1) in the middle of its turn a warning Error: no such setting"
    (end,) = begun().exited(Exit(None, 15, "wall-limit"), "")
    assert isinstance(end, TurnEnded)
    assert "wall-limit" in end.error


# -------------------------------------------------------------------------------------------- anything

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)
CHANGES = st.lists(st.fixed_dictionaries({"path": st.text(max_size=5)}, optional={"kind": JSON}), max_size=2)
ITEMS = st.fixed_dictionaries(
    {"type": st.sampled_from(["agentMessage", "commandExecution", "fileChange", "webSearch", "x"]), "id": st.just("i")},
    optional={
        "text": st.text() | JSON,
        "command": st.text() | JSON,
        "status": st.sampled_from(["completed", "declined"]) | JSON,
        "changes": CHANGES | JSON,
        "commandActions": JSON,
    },
)
PARAMS = st.fixed_dictionaries(
    {"threadId": st.sampled_from(["t", "x"]), "turnId": st.sampled_from(["u", "x"])},
    optional={
        "item": ITEMS | JSON,
        "turn": st.fixed_dictionaries({"id": st.just("u"), "status": st.sampled_from(["completed", "failed"]) | JSON}),
        "error": st.fixed_dictionaries({"message": st.text(max_size=5), "codexErrorInfo": JSON}) | JSON,
        "tokenUsage": JSON,
        "rateLimits": JSON,
        "requestId": JSON,
        "itemId": st.just("i") | JSON,
        "command": st.text() | JSON,
        "questions": st.lists(st.fixed_dictionaries({"id": st.text(max_size=3)}), max_size=2) | JSON,
    },
)
METHODS = st.sampled_from([*NOTICES, *REQUESTS, "novelty"])
MESSAGES = st.fixed_dictionaries(
    {"method": METHODS | JSON, "params": PARAMS | JSON}, optional={"id": st.integers(0, 3) | JSON}
) | st.fixed_dictionaries({"id": st.sampled_from(["initialize", "thread", "prompt:1"]) | JSON, "result": JSON})


@settings(max_examples=300, deadline=None)
@given(st.lists(MESSAGES | JSON, max_size=8), st.booleans(), st.sampled_from([Allow(), Deny("no"), Answered("a")]))
def test_nothing_that_an_agent_says_breaks_the_conversation(
    messages: list[Any], fresh: bool, reply: Allow | Deny | Answered
) -> None:
    made = CodexConversation(Brief("T1.1", "Go", Access.WRITE, TREE, "/out")) if fresh else begun()
    ends = 0
    for message in messages:
        for found in made.receive(json.dumps(message).encode()):
            ends += isinstance(found, TurnEnded)
            if isinstance(found, PermissionAsked | AnswerAsked):
                assert all(body(send) for send in made.reply(found.request, reply))
    ends += sum(isinstance(fact, TurnEnded) for fact in made.exited(KILLED, ""))
    assert ends == (0 if fresh else 1)
    assert made.exited(KILLED, "") == []


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=200))
def test_no_bytes_break_the_conversation(line: bytes) -> None:
    for fact in begun().receive(line):
        assert isinstance(fact, Garbled)
