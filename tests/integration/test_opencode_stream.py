"""opencode's stream as it really was: recorded sessions, replayed through the conversation."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from heddle.adapters.agents.opencode import OpencodeConversation
from heddle.adapters.agents.opencode.wire import EVENTS
from heddle.core.session import (
    Access,
    AgentReady,
    Allow,
    AnswerAsked,
    Answered,
    Brief,
    Denied,
    Deny,
    Fact,
    Garbled,
    LimitKind,
    LimitSeen,
    PermissionAsked,
    Progressed,
    Said,
    Send,
    ToolCalled,
    ToolEnded,
    TurnEnded,
    TurnOutcome,
    Usage,
    UsageReported,
    Withdrawn,
)
from heddle.ports import Exit
from opencode_recordings import FOLDERS, recording, replay, sent
from support.recordings import entries_of

TREE = "/home/person/repo"
RECORDINGS = sorted(path for folder in FOLDERS for path in folder.glob("*.jsonl"))
KILLED = Exit(None, 9, "exited")


def by_name(path: Path) -> str:
    return f"{path.parent.name}/{path.stem}"


def line(**message: Any) -> bytes:
    return json.dumps(message).encode()


def told(made: OpencodeConversation, type: str, /, **properties: Any) -> list[Fact | Send]:
    payload = {"id": "evt_1", "type": type, "properties": {"sessionID": "ses_a", **properties}}
    return made.receive(line(event={"directory": TREE, "payload": payload}))


def status(made: OpencodeConversation, type: str, **more: Any) -> list[Fact | Send]:
    return told(made, "session.status", status={"type": type, **more})


def message(made: OpencodeConversation, id: str, role: str, **more: Any) -> list[Fact | Send]:
    return told(made, "message.updated", info={"id": id, "sessionID": "ses_a", "role": role, "time": {}, **more})


def part(made: OpencodeConversation, id: str, type: str, **more: Any) -> list[Fact | Send]:
    whole = {"id": id, "sessionID": "ses_a", "messageID": "msg_a1", "type": type, **more}
    return told(made, "message.part.updated", part=whole)


def begun() -> OpencodeConversation:
    """A conversation in its first turn, with an answer under way."""
    made = OpencodeConversation(Brief("T1.1", "Go", Access.WRITE, TREE, "/out"), "local/m")
    made.open()
    made.receive(line(answer="session", status=200, body={"id": "ses_a", "version": "1.2.3"}))
    made.receive(line(answer="prompt:1", status=204))
    message(made, "msg_u1", "user")
    status(made, "busy")
    message(made, "msg_a1", "assistant", parentID="msg_u1")
    return made


def finished(made: OpencodeConversation, **more: Any) -> list[Fact | Send]:
    message(made, "msg_a1", "assistant", parentID="msg_u1", **({"time": {"completed": 5}} | more))
    return status(made, "idle")


def ask(made: OpencodeConversation, permission: str, **more: Any) -> list[Fact | Send]:
    return told(made, "permission.asked", id="per_1", permission=permission, **more)


def body(item: Fact | Send) -> Any:
    assert isinstance(item, Send)
    return json.loads(item.data)


@pytest.mark.parametrize("state", [{"heddle": {"status": "connected"}}, {"heddle": {"status": "failed"}}, None, [], {}])
@pytest.mark.parametrize("interrupted", [False, True])
def test_its_model_is_asked_once_its_tools_are_there_or_cannot_be_had(state: object, interrupted: bool) -> None:
    made = OpencodeConversation(Brief("T1.1", "Go", Access.WRITE, TREE, "/out", tools=True), "local/m")
    made.open()
    said = made.receive(line(answer="session", status=200, body={"id": "ses_a"}))
    assert [one.id for one in said if isinstance(one, Send)] == ["tools"]
    if interrupted:
        assert made.interrupt() == []
    said = made.receive(line(answer="tools", status=200, body=state))
    if state != {"heddle": {"status": "connected"}}:
        assert body(said[0])["path"].startswith("/mcp/heddle/connect?")
        said = made.receive(line(answer="connect", status=400, error="no"))
    if interrupted:
        assert said == [TurnEnded(TurnOutcome.INTERRUPTED)]
    else:
        assert [one.id for one in said if isinstance(one, Send)] == ["prompt:1"]
    assert made.receive(line(answer="tools", status=200)) == []


@pytest.mark.parametrize("path", RECORDINGS, ids=by_name)
def test_a_recording_is_understood_and_answered_as_it_was(path: Path) -> None:
    entries = entries_of(path)
    heard = replay(entries)
    assert heard.of(Garbled) == []
    assert heard.sends == sent(entries)
    assert len({one.id for one in heard.sends}) == len(heard.sends), "the holder takes each id once"


def test_a_session_with_all_kinds_of_turns() -> None:
    heard = replay(recording("lived-through-much"))
    assert [(end.outcome.value, end.text, end.error) for end in heard.of(TurnEnded)] == [
        ("ended", "Done.", ""),
        ("ended", "Well.", ""),
        ("ended", "Thanks.", ""),
        ("ended", "It works again.", ""),
        ("limited", "", "bad key"),
        ("interrupted", "", ""),
        ("failed", "", "the agent ended (signal 9) in the middle of its turn"),
    ]
    assert [call.kind for call in heard.of(ToolCalled)] == ["read", "edit", "edit", "run", "run", "think", "read"]
    assert [end.ok for end in heard.of(ToolEnded)] == [True, True, True, True, False, True, True]
    assert [ask.kind for ask in heard.of(PermissionAsked)] == ["edit", "edit", "run", "run"]
    assert [ask.paths for ask in heard.of(PermissionAsked)][:2] == [(f"{TREE}/hello.txt",), (f"{TREE}/new.txt",)]
    assert [(ask.text, ask.options) for ask in heard.of(AnswerAsked)] == [("Which colour?", ("Red",))]
    assert [(limit.kind, limit.retrying) for limit in heard.of(LimitSeen)] == [
        (LimitKind.UNKNOWN, True),
        (LimitKind.AUTHENTICATION, False),
    ]
    assert heard.of(UsageReported)[0] == UsageReported(Usage(5500, 250, 2000, 0, None))
    assert len(heard.of(AgentReady)) == 1


def test_a_lost_session_is_resumed_and_counts_only_what_is_new() -> None:
    heard = replay(recording("resumed"))
    assert heard.of(UsageReported) == [UsageReported(Usage(1100, 50, 400, 0, None))]
    assert heard.facts[-1] == TurnEnded(TurnOutcome.ENDED, "Heard after all.")


def test_an_unknown_conversation_cannot_be_resumed() -> None:
    heard = replay(recording("unknown-session"))
    (end,) = heard.of(TurnEnded)
    assert end.outcome is TurnOutcome.FAILED
    assert "refused to begin" in end.error
    assert heard.of(AgentReady) == []


# ------------------------------------------------------------------------------- what was not recorded


def test_what_other_sessions_do_is_not_ours_but_sub_agents_cost_and_ask() -> None:
    made = begun()
    step = {"tokens": {"input": 10, "output": 1, "reasoning": 2, "cache": {"read": 3, "write": 4}}, "cost": 0.5}
    assert part(made, "prt_x", "step-finish", sessionID="ses_b", **step) == []
    assert told(made, "session.status", sessionID="ses_b", status={"type": "idle"}) == []
    assert ask(made, "bash", sessionID="ses_b", metadata={"command": "rm a"}) == []
    told(made, "session.created", sessionID="ses_b", info={"id": "ses_b", "parentID": "ses_a"})
    assert part(made, "prt_x", "step-finish", sessionID="ses_b", **step) == [Progressed()]
    assert part(made, "prt_x", "step-finish", sessionID="ses_b", **step) == [Progressed()], "a step counts once"
    assert part(made, "prt_y", "text", sessionID="ses_b", text="not the answer", time={"end": 1}) == [Progressed()]
    (asked,) = ask(made, "bash", sessionID="ses_b", metadata={"command": "rm a"})
    assert asked == PermissionAsked("per_1", "run", "rm a", (), "rm a")
    assert told(made, "session.status", sessionID="ses_b", status={"type": "idle"}) == []
    assert finished(made) == [UsageReported(Usage(10, 3, 3, 4, 0.5)), TurnEnded(TurnOutcome.ENDED)]


def test_a_request_is_answered_once_and_withdrawn_when_others_settled_it() -> None:
    made = begun()
    ask(made, "edit", patterns=["a"], metadata={"filepath": f"{TREE}/a"})
    (answer,) = made.reply("per_1", Deny("no"))
    assert body(answer)["body"] == {"reply": "reject", "message": "no"}
    assert made.reply("per_1", Allow()) == []
    assert ask(made, "edit", patterns=["a"]) == [], "it is told again after a loss"
    told(made, "question.asked", id="que_1", questions=[{"question": "A?"}, {"question": "B?"}])
    assert made.reply("que_1#2", Answered("y")) == []
    assert told(made, "question.rejected", requestID="que_1") == [Withdrawn("que_1")]
    assert made.reply("que_1", Answered("x")) == []


def test_a_change_is_judged_by_all_that_it_writes() -> None:
    files = [{"filePath": f"{TREE}/a", "movePath": "/elsewhere/b"}, {"filePath": f"{TREE}/c"}, 7]
    (asked,) = ask(begun(), "edit", patterns=["a", "../d"], metadata={"filepath": "a, c", "files": files})
    assert isinstance(asked, PermissionAsked)
    assert asked.paths == (f"{TREE}/a", "/elsewhere/b", f"{TREE}/c", "/home/person/d")
    denied, answer = ask(begun(), "edit")
    assert isinstance(denied, Denied)
    assert body(answer)["body"]["reply"] == "reject"


def test_the_same_call_again_and_again_is_refused_and_said_so() -> None:
    denied, answer = ask(begun(), "doom_loop", patterns=["bash"])
    assert isinstance(denied, Denied)
    assert body(answer)["body"]["reply"] == "reject"


def test_the_tool_of_a_server_is_asked_for_like_any_other() -> None:
    (asked,) = ask(begun(), "srv_shout", patterns=["*"])
    assert asked == PermissionAsked("per_1", "other", "srv_shout *")


def test_idle_that_belongs_to_an_earlier_turn_ends_nothing() -> None:
    made = begun()
    assert status(made, "idle") == [], "its answer is not complete"
    assert finished(made) == [TurnEnded(TurnOutcome.ENDED)]
    made.prompt("More", 2)
    assert status(made, "idle") == []
    assert message(made, "msg_a1", "assistant", parentID="msg_u1", time={"completed": 5}) == []
    message(made, "msg_u2", "user")
    assert status(made, "idle") == []
    status(made, "busy")
    message(made, "msg_a2", "assistant", parentID="msg_u2", time={"completed": 5})
    assert status(made, "idle") == [TurnEnded(TurnOutcome.ENDED)]


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        ({"name": "APIError", "data": {"message": "no", "statusCode": 401}}, LimitKind.AUTHENTICATION),
        ({"name": "APIError", "data": {"message": "no", "statusCode": 403}}, LimitKind.AUTHENTICATION),
        ({"name": "APIError", "data": {"message": "no", "statusCode": 402}}, LimitKind.BILLING),
        ({"name": "APIError", "data": {"message": "no", "statusCode": 429}}, LimitKind.THROTTLE),
        ({"name": "APIError", "data": {"message": "no", "statusCode": 529}}, LimitKind.OUTAGE),
        ({"name": "APIError", "data": {"message": "no", "isRetryable": True}}, LimitKind.OUTAGE),
        ({"name": "APIError", "data": {"message": "rate limit exceeded"}}, None),
        ({"name": "APIError", "data": {"message": "no", "statusCode": 400}}, None),
        ({"name": "ProviderAuthError", "data": {"message": "no"}}, LimitKind.AUTHENTICATION),
        ({"name": "UnknownError", "data": {"message": "too many requests"}}, None),
        ({"name": "Novelty"}, None),
    ],
)
def test_limits_are_told_from_codes_never_from_words(error: dict[str, Any], kind: LimitKind | None) -> None:
    (*limits, end) = finished(begun(), error=error)
    assert [limit.kind for limit in limits if isinstance(limit, LimitSeen)] == ([kind] if kind else [])
    assert isinstance(end, TurnEnded)
    assert end.outcome is (TurnOutcome.LIMITED if kind else TurnOutcome.FAILED)
    assert end.error


def test_a_retry_bears_words_alone_unless_it_is_of_the_makers_own_service() -> None:
    made = begun()
    assert status(made, "retry", attempt=1, message="rate limited", next=2_000_000_000_000) == [
        LimitSeen(LimitKind.UNKNOWN, "rate limited", None, True)
    ]
    action = {"reason": "account_rate_limit"}
    assert status(made, "retry", attempt=2, message="spent", next=2_000_000_000_000, action=action) == [
        LimitSeen(LimitKind.QUOTA, "spent", 2_000_000_000.0, True)
    ]
    assert finished(made) == [TurnEnded(TurnOutcome.ENDED)]


def test_an_error_that_it_got_over_does_not_end_the_turn() -> None:
    made = begun()
    told(made, "session.error", error={"name": "ContextOverflowError", "data": {"message": "full"}})
    message(made, "msg_s", "assistant", parentID="msg_u1", summary=True, time={"completed": 3})
    assert part(made, "prt_s", "text", messageID="msg_s", text="a summary", time={"end": 1}) == [Said("a summary")]
    message(made, "msg_a2", "assistant", parentID="msg_u1", time={"completed": 5})
    assert status(made, "idle") == [TurnEnded(TurnOutcome.ENDED)]


def test_a_failure_before_any_answer_ends_the_turn() -> None:
    made = begun()
    finished(made)
    made.prompt("More", 2)
    told(made, "session.error", error={"name": "ProviderModelNotFoundError", "data": {"message": "no such model"}})
    assert status(made, "idle") == [TurnEnded(TurnOutcome.FAILED, "", "no such model")]


def test_an_interrupt_waits_until_the_turn_has_begun() -> None:
    made = OpencodeConversation(Brief("T1.1", "Go", Access.READ, TREE, "/out"))
    made.open()
    assert made.interrupt() == []
    ready, end = made.receive(line(answer="session", status=200, body={"id": "ses_a"}))
    assert isinstance(ready, AgentReady)
    assert end == TurnEnded(TurnOutcome.INTERRUPTED)
    made.prompt("Go", 2)
    assert made.interrupt() == []
    message(made, "msg_u1", "user")
    (abort,) = status(made, "busy")
    assert body(abort)["path"].startswith("/session/ses_a/abort")
    assert [one.id for one in made.interrupt()] == ["interrupt:2"]


def test_after_a_loss_it_is_asked_what_is_open_and_whether_it_still_works() -> None:
    made = begun()
    garbled, *looks = made.receive(line(lost="broken", again=True))
    assert isinstance(garbled, Garbled)
    assert [body(one)["id"] for one in looks] == ["look:permission:1", "look:question:1", "look:status:1"]
    open = [{"id": "per_9", "sessionID": "ses_a", "permission": "bash", "metadata": {"command": "make"}}]
    assert made.receive(line(answer="look:permission:1", status=200, body=open)) == [
        PermissionAsked("per_9", "run", "make", (), "make")
    ]
    assert made.receive(line(answer="look:question:1", status=200, body=[])) == []
    (end,) = made.receive(line(answer="look:status:1", status=200, body={}))
    assert end == TurnEnded(TurnOutcome.FAILED, "", "the end of the turn was not heard")
    assert isinstance(made.receive(line(dropped=9_000_000))[0], Garbled)


@pytest.mark.parametrize("at", ["session", "prompt:1"])
def test_a_beginning_that_is_refused_fails_the_turn(at: str) -> None:
    made = OpencodeConversation(Brief("T1.1", "Go", Access.READ, TREE, "/out"))
    made.open()
    if at != "session":
        made.receive(line(answer="session", status=200, body={"id": "ses_a"}))
    refusal = made.receive(line(answer=at, status=400, body={"name": "x", "data": {"message": "not this way"}}))
    assert refusal == [TurnEnded(TurnOutcome.FAILED, "", "the agent refused to begin: not this way")]
    assert made.exited(KILLED, "") == []


# -------------------------------------------------------------------------------------------- anything

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)
SESSIONS = st.sampled_from(["ses_a", "ses_b"])
STATES = st.fixed_dictionaries(
    {"status": st.sampled_from(["pending", "running", "completed", "error"]) | JSON},
    optional={"input": st.dictionaries(st.sampled_from(["filePath", "command", "patchText"]), JSON) | JSON},
)
PROPERTIES = st.fixed_dictionaries(
    {"sessionID": SESSIONS},
    optional={
        "id": st.sampled_from(["per_1", "que_1"]) | JSON,
        "status": st.fixed_dictionaries({"type": st.sampled_from(["busy", "idle", "retry"])}) | JSON,
        "error": st.fixed_dictionaries({"name": st.just("APIError"), "data": JSON}) | JSON,
        "info": st.fixed_dictionaries(
            {
                "id": st.sampled_from(["msg_a1", "msg_b"]),
                "sessionID": SESSIONS,
                "role": st.sampled_from(["user", "assistant"]),
            },
            optional={"parentID": st.just("msg_u1") | JSON, "time": JSON, "error": JSON},
        )
        | JSON,
        "part": st.fixed_dictionaries(
            {
                "id": st.sampled_from(["prt_1", "prt_2"]),
                "sessionID": SESSIONS,
                "messageID": st.just("msg_a1"),
                "type": st.sampled_from(["text", "tool", "step-finish", "x"]),
            },
            optional={"state": STATES | JSON, "tokens": JSON, "text": st.text() | JSON, "cost": JSON, "tool": JSON},
        )
        | JSON,
        "permission": st.sampled_from(["bash", "edit", "doom_loop", "x"]) | JSON,
        "patterns": st.lists(st.text(max_size=4), max_size=2) | JSON,
        "metadata": JSON,
        "questions": st.lists(st.fixed_dictionaries({"question": st.text(max_size=3)}), max_size=2) | JSON,
        "requestID": JSON,
    },
)
PAYLOADS = st.fixed_dictionaries(
    {"type": st.sampled_from([*EVENTS, "novelty"]) | JSON, "properties": PROPERTIES | JSON}
)
ANSWERS = st.fixed_dictionaries(
    {"answer": st.sampled_from(["session", "prompt:1", "look:status:1", "look:permission:1"]) | JSON},
    optional={"status": st.sampled_from([0, 200, 404]) | JSON, "body": JSON, "error": JSON},
)
MESSAGES = (
    st.fixed_dictionaries({"event": st.fixed_dictionaries({"payload": PAYLOADS | JSON}) | JSON})
    | ANSWERS
    | st.fixed_dictionaries({"lost": st.text(max_size=3) | JSON}, optional={"again": st.booleans()})
)


@settings(max_examples=300, deadline=None)
@given(st.lists(MESSAGES | JSON, max_size=8), st.booleans(), st.sampled_from([Allow(), Deny("no"), Answered("a")]))
def test_nothing_that_an_agent_says_breaks_the_conversation(
    messages: list[Any], fresh: bool, reply: Allow | Deny | Answered
) -> None:
    made = OpencodeConversation(Brief("T1.1", "Go", Access.WRITE, TREE, "/out")) if fresh else begun()
    ends = 0
    for one in messages:
        for found in made.receive(json.dumps(one).encode()):
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
