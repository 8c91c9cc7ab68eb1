"""The codec of the Agent Client Protocol as a pure machine: streams in, facts and messages out."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from heddle.adapters.agents.acp import AcpConversation
from heddle.core.permission import permission
from heddle.core.scope import require_scope
from heddle.core.session import (
    Access,
    AgentReady,
    Allow,
    AnswerAsked,
    Answered,
    Brief,
    ContextSeen,
    Deny,
    Fact,
    Garbled,
    PermissionAsked,
    Progressed,
    Reply,
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
from support.acp_driver import Told, replay

TREE, OUT = "/home/person/repo", "/home/person/out"
RECORDINGS = sorted((Path(__file__).parents[1] / "fixtures" / "acp").glob("*.jsonl"))
OPTIONS = [
    {"optionId": "2", "name": "Always", "kind": "allow_always"},
    {"optionId": "1", "name": "Allow", "kind": "allow_once"},
    {"optionId": "0", "name": "Reject", "kind": "reject_once"},
]
GARBAGE = [
    b"Segmentation fault",
    b"{",
    b"[]",
    b"7",
    b"null",
    b"{}",
    b'{"level":"info","msg":"starting"}',
    b'{"id":11,"level":"info"}',
    b'{"method":7,"params":{}}',
    b"\x00\xff",
    b"[" * 100_000,
]


def brief(access: Access = Access.WRITE, resume: str = "") -> Brief:
    return Brief("T1.1", "Go", access, TREE, OUT, resume=resume)


class Peer:
    """A conversation, and the words of an agent for it."""

    def __init__(self, access: Access = Access.WRITE, resume: str = "") -> None:
        self.conversation = AcpConversation(brief(access, resume))
        self.opened = self.conversation.open()

    def line(self, **message: Any) -> Told:
        told = Told()
        told.take(self.conversation.receive(json.dumps({"jsonrpc": "2.0", **message}).encode()))
        return told

    def answer(self, send: Send, result: Any) -> Told:
        return self.line(id=json.loads(send.data)["id"], result=result)

    def refuse(self, send: Send, message: str, data: Any = None) -> Told:
        return self.line(id=json.loads(send.data)["id"], error={"code": -32603, "message": message, "data": data})

    def update(self, kind: str, /, **values: Any) -> Told:
        return self.line(
            method="session/update", params={"sessionId": "s", "update": {"sessionUpdate": kind, **values}}
        )

    def ask(self, call: dict[str, Any], options: Any = OPTIONS, id: Any = 5, **more: Any) -> Told:
        params = {"sessionId": "s", "toolCall": call, "options": options, **more}
        return self.line(id=id, method="session/request_permission", params=params)

    def say(self, text: str, **more: Any) -> Told:
        return self.update("agent_message_chunk", content={"type": "text", "text": text}, **more)


def prompted(**values: Any) -> tuple[Peer, Send]:
    """A peer in its first turn, and the prompt."""
    peer = Peer(**values)
    (session,) = peer.answer(peer.opened[0], {"protocolVersion": 1, "agentCapabilities": {"loadSession": True}}).sends
    (prompt,) = peer.answer(session, {"sessionId": "s"}).sends
    return peer, prompt


def words(send: Send) -> dict[str, Any]:
    assert send.data.endswith(b"\n")
    assert send.data.count(b"\n") == 1
    message: dict[str, Any] = json.loads(send.data)
    assert message.pop("jsonrpc") == "2.0"
    return message


# ---------------------------------------------------------------------------------------------- recordings


@pytest.mark.parametrize("path", RECORDINGS, ids=lambda path: path.stem)
def test_a_replay_sends_the_same_messages_with_the_same_ids(path: Path) -> None:
    lines = path.read_bytes().splitlines()
    first, second = replay(brief(), lines), replay(brief(), lines)
    assert first == second
    assert len({send.id for send in first.sends}) == len(first.sends)
    assert [fact.outcome for fact in first.of(TurnEnded)] == [TurnOutcome.ENDED]


@pytest.mark.parametrize("path", RECORDINGS, ids=lambda path: path.stem)
def test_what_is_not_the_protocol_is_kept_apart_and_changes_nothing_else(path: Path) -> None:
    lines = path.read_bytes().splitlines()
    clean = replay(brief(), lines)
    spoiled = replay(brief(), [item for line in lines for item in (line, *GARBAGE)])
    assert [fact for fact in spoiled.facts if not isinstance(fact, Garbled)] == clean.facts
    assert spoiled.sends == clean.sends
    assert len(spoiled.of(Garbled)) == len(GARBAGE) * len(lines)


@pytest.mark.parametrize("path", RECORDINGS, ids=lambda path: path.stem)
def test_unknown_updates_fields_and_methods_change_nothing(path: Path) -> None:
    lines = path.read_bytes().splitlines()
    strange = [
        {"method": "session/update", "params": {"update": {"sessionUpdate": "state_update", "state": "idle"}}},
        {"method": "session/update", "params": {"update": "later"}},
        {"method": "session/update", "params": ["by position"]},
        {"method": "session/update"},
        {"method": "$/cancel_request", "params": {"requestId": 77}},
        {"method": "vendor/hint", "params": None},
        {"id": 4711, "result": {"stopReason": "end_turn"}},
        {"id": "11", "result": {"stopReason": "end_turn"}},
        {"id": None, "error": {"code": -32700, "message": "not JSON"}},
        {"id": 4711, "error": {"code": -32603, "message": "of nothing that was asked"}},
    ]
    added = [json.dumps({"jsonrpc": "2.0", "novel": [1], **message}).encode() for message in strange]
    assert replay(brief(), [item for line in lines for item in (line, *added)]) == replay(brief(), lines)


def test_the_recordings_are_there() -> None:
    assert [path.stem for path in RECORDINGS] == ["reference", "rehearsal"]


KEYS = [
    "jsonrpc",
    "id",
    "method",
    "params",
    "result",
    "error",
    "code",
    "message",
    "data",
    "protocolVersion",
    "agentCapabilities",
    "loadSession",
    "agentInfo",
    "version",
    "sessionId",
    "modes",
    "availableModes",
    "update",
    "sessionUpdate",
    "content",
    "type",
    "text",
    "messageId",
    "toolCallId",
    "kind",
    "title",
    "status",
    "locations",
    "path",
    "rawInput",
    "command",
    "cost",
    "amount",
    "currency",
    "used",
    "toolCall",
    "options",
    "optionId",
    "name",
    "_meta",
    "heddle",
    "question",
    "default",
    "stopReason",
    "usage",
    "inputTokens",
    "outputTokens",
]
WORDS = [
    "initialize",
    "session/update",
    "session/request_permission",
    "agent_message_chunk",
    "tool_call",
    "tool_call_update",
    "usage_update",
    "edit",
    "execute",
    "completed",
    "failed",
    "diff",
    "plan",
    "allow_once",
    "reject_once",
    "end_turn",
    "USD",
]
ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.sampled_from(WORDS) | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(KEYS), inner, max_size=5),
    max_leaves=12,
)
UPDATES = st.sampled_from(["agent_message_chunk", "tool_call", "tool_call_update", "usage_update", "plan"])
MESSAGES = (
    st.fixed_dictionaries({"id": st.sampled_from([1, 2, 3, 11, 12, "x", None])}, optional={"result": ANYTHING})
    | st.fixed_dictionaries({"id": st.sampled_from([1, 2, 3, 11]), "error": ANYTHING})
    | st.fixed_dictionaries({"id": st.integers(), "method": st.just("session/request_permission"), "params": ANYTHING})
    | st.builds(
        lambda kind, more: {"method": "session/update", "params": {"update": {**more, "sessionUpdate": kind}}},
        UPDATES,
        st.dictionaries(st.sampled_from(KEYS), ANYTHING, max_size=6),
    )
    | ANYTHING
)


@settings(deadline=None)
@given(st.lists(MESSAGES, max_size=8), st.booleans())
def test_nothing_that_an_agent_says_breaks_the_codec(messages: list[Any], resumed: bool) -> None:
    peer, _ = prompted(resume="s-1" if resumed else "")
    for message in messages:
        for item in peer.conversation.receive(json.dumps(message).encode()):
            if isinstance(item, PermissionAsked | AnswerAsked):
                for send in peer.conversation.reply(item.request, Answered("edit")):
                    words(send)
    ended = peer.conversation.exited(Exit(1, None, "exited"), "")
    assert peer.conversation.exited(Exit(1, None, "exited"), "") == []
    assert sum(isinstance(fact, TurnEnded) for fact in ended) <= 1


# ------------------------------------------------------------------------------------------- the beginning


def test_it_offers_neither_files_nor_terminals_and_works_in_the_tree() -> None:
    peer = Peer()
    (hello,) = peer.opened
    assert hello.id == "initialize"
    assert words(hello)["params"]["protocolVersion"] == 1
    assert words(hello)["params"]["clientCapabilities"] == {"elicitation": {"form": {}}}
    told = peer.answer(hello, {"protocolVersion": 1, "agentInfo": {"name": "x", "version": "3.1"}})
    (session,) = told.sends
    assert session.id == "new-session"
    assert words(session) | {"id": 0} == {
        "id": 0,
        "method": "session/new",
        "params": {"cwd": TREE, "mcpServers": []},
    }
    told = peer.answer(session, {"sessionId": "s"})
    assert told.facts == [AgentReady("s", "", "3.1")]
    assert [send.id for send in told.sends] == ["prompt:1"]
    assert words(told.sends[0])["params"] == {"sessionId": "s", "prompt": [{"type": "text", "text": "Go"}]}


@pytest.mark.parametrize(
    ("access", "offered", "chosen"),
    [
        (Access.READ, ["auto", "default", "plan"], "plan"),
        (Access.WRITE, ["auto", "default", "plan"], "default"),
        (Access.READ, ["read-only", "workspace-write", "agent"], "read-only"),
        (Access.WRITE, ["read-only", "workspace-write", "agent"], "workspace-write"),
        (Access.READ, ["yolo"], None),
        (Access.WRITE, [], None),
    ],
)
def test_the_mode_is_set_before_the_first_prompt_is_sent(access: Access, offered: list[str], chosen: str) -> None:
    peer = Peer(access)
    (session,) = peer.answer(peer.opened[0], {"protocolVersion": 1}).sends
    modes = {"currentModeId": "auto", "availableModes": [{"id": id, "name": id} for id in offered]}
    told = peer.answer(session, {"sessionId": "s", "modes": modes})
    if chosen is not None:
        (mode,) = told.sends
        assert mode.id == "mode"
        assert words(mode)["params"] == {"sessionId": "s", "modeId": chosen}
        told = peer.answer(mode, {})
    assert [send.id for send in told.sends] == ["prompt:1"]


@pytest.mark.parametrize("id", ["id", "configId"])
@pytest.mark.parametrize("grouped", [False, True])
def test_a_mode_that_is_an_option_of_the_session_is_set_as_one(id: str, grouped: bool) -> None:
    peer = Peer(Access.READ)
    (session,) = peer.answer(peer.opened[0], {"protocolVersion": 1}).sends
    choices: list[dict[str, Any]] = [{"value": "code", "name": "Code"}, {"value": "plan", "name": "Plan"}]
    choices = [{"group": "g", "name": "G", "options": choices}] if grouped else choices
    options = [
        {id: "model", "category": "model", "options": [{"value": "plan"}]},
        {id: "how", "category": "mode", "type": "select", "currentValue": "code", "options": choices},
    ]
    modes = {"availableModes": [{"id": "plan"}]}
    (mode,) = peer.answer(session, {"sessionId": "s", "configOptions": options, "modes": modes}).sends
    assert (words(mode)["method"], words(mode)["params"]) == (
        "session/set_config_option",
        {"sessionId": "s", "configId": "how", "value": "plan"},
    )
    assert [send.id for send in peer.answer(mode, {"configOptions": options}).sends] == ["prompt:1"]


def test_a_mode_that_cannot_be_set_does_not_keep_the_agent_from_its_work() -> None:
    peer = Peer(Access.READ)
    (session,) = peer.answer(peer.opened[0], {"protocolVersion": 1}).sends
    (mode,) = peer.answer(session, {"sessionId": "s", "modes": {"availableModes": [{"id": "plan"}]}}).sends
    told = peer.refuse(mode, "no such mode")
    assert [send.id for send in told.sends] == ["prompt:1"]
    assert told.of(TurnEnded) == []


def test_an_agent_that_can_load_goes_on_with_its_session_and_its_history_is_not_told_again() -> None:
    peer = Peer(resume="s-1")
    (load,) = peer.answer(peer.opened[0], {"protocolVersion": 1, "agentCapabilities": {"loadSession": True}}).sends
    assert load.id == "load-session"
    assert words(load)["params"] == {"sessionId": "s-1", "cwd": TREE, "mcpServers": []}
    assert peer.say("an old answer").facts == []
    call = {"toolCallId": "c", "title": "Edit", "kind": "edit", "locations": [{"path": f"{TREE}/old"}]}
    assert peer.update("tool_call", **call).facts == []
    assert peer.update("tool_call_update", toolCallId="c", status="completed").facts == []
    told = peer.answer(load, None)
    assert told.facts == [AgentReady("s-1")]
    (prompt,) = told.sends
    assert peer.answer(prompt, {"stopReason": "end_turn"}).facts == [TurnEnded(TurnOutcome.ENDED, "")]


def test_an_agent_that_cannot_load_begins_anew() -> None:
    peer = Peer(resume="s-1")
    (session,) = peer.answer(peer.opened[0], {"protocolVersion": 1, "agentCapabilities": None}).sends
    assert session.id == "new-session"
    assert peer.answer(session, {}).sends == []  # the id of the old session is not one of the new


@pytest.mark.parametrize("step", ["initialize", "session"])
def test_a_refused_beginning_ends_the_turn_with_the_agents_words(step: str) -> None:
    peer = Peer()
    asked = peer.opened[0]
    if step == "session":
        (asked,) = peer.answer(asked, {"protocolVersion": 1}).sends
    (ended,) = peer.refuse(asked, "Authentication required").facts
    assert ended == TurnEnded(TurnOutcome.FAILED, "", "Authentication required")


def test_an_agent_of_another_protocol_version_is_told_as_that() -> None:
    peer = Peer()
    told = peer.answer(peer.opened[0], {"protocolVersion": 2})
    assert told.sends == []
    (ended,) = told.of(TurnEnded)
    assert ended.outcome is TurnOutcome.FAILED
    assert "version 2" in ended.error


@pytest.mark.parametrize("sessions", [{}, {"sessionId": None}, {"sessionId": 7}, {"sessionId": ""}])
def test_a_session_without_an_id_ends_the_turn(sessions: dict[str, Any]) -> None:
    peer = Peer()
    (session,) = peer.answer(peer.opened[0], {"protocolVersion": 1}).sends
    told = peer.answer(session, sessions)
    assert told.sends == []
    assert [fact.outcome for fact in told.of(TurnEnded)] == [TurnOutcome.FAILED]


# ----------------------------------------------------------------------------------------------- tool calls


def test_a_tool_call_is_told_once_and_its_end_too() -> None:
    peer, _ = prompted()
    path = f"{TREE}/a.py"
    call = {"toolCallId": "c", "title": "Edit a.py", "kind": "edit", "status": "pending"}
    assert peer.update("tool_call", **call, locations=[{"path": path}]).facts == [
        ToolCalled("c", "edit", "Edit a.py", (path,))
    ]
    assert peer.update("tool_call_update", toolCallId="c", status="in_progress").facts == [Progressed()]
    diff = {"type": "diff", "path": path, "newText": "y"}
    assert peer.update("tool_call_update", toolCallId="c", status="completed", content=[diff]).facts == [
        ToolEnded("c", True)
    ]


def test_a_path_that_is_named_late_is_told_too() -> None:
    peer, _ = prompted()
    peer.update("tool_call", toolCallId="c", title="Edit", kind="edit", locations=[{"path": "a"}])
    update = {"toolCallId": "c", "locations": [{"path": "a"}, {"path": "b", "line": 3}]}
    assert peer.update("tool_call_update", **update).facts == [ToolCalled("c", "edit", "Edit", ("b",))]
    assert peer.update("tool_call_update", **update).facts == [Progressed()]


def test_a_tool_call_that_begins_with_an_update_or_ends_at_once_is_told_whole() -> None:
    peer, _ = prompted()
    assert peer.update("tool_call_update", toolCallId="c", title="ls", kind="execute", status="failed").facts == [
        ToolCalled("c", "run", "ls"),
        ToolEnded("c", False),
    ]
    assert peer.update("tool_call", toolCallId="d", title="Read", kind="read", status="completed").facts == [
        ToolCalled("d", "read", "Read"),
        ToolEnded("d", True),
    ]


@pytest.mark.parametrize(
    "call",
    [
        {"toolCallId": "c", "kind": "teleport", "title": None, "locations": None, "content": None},
        {"toolCallId": "c", "kind": None, "title": 7, "locations": {"path": "x"}, "content": "words"},
        {"toolCallId": "c", "locations": ["x", None, {"path": 7}], "content": [None, {"type": "diff"}]},
        {"toolCallId": "c", "content": 7, "rawInput": 7, "status": "paused"},
    ],
)
def test_a_tool_call_of_an_unknown_shape_is_other_and_names_nothing(call: dict[str, Any]) -> None:
    peer, _ = prompted()
    assert peer.update("tool_call", **call).facts == [ToolCalled("c", "other", "")]


# ------------------------------------------------------------------------------------------------ requests


@pytest.mark.parametrize(
    ("reply", "outcome"),
    [
        (Allow(), {"outcome": "selected", "optionId": "1"}),
        (Deny("no"), {"outcome": "selected", "optionId": "0"}),
        (Answered("Allow"), {"outcome": "selected", "optionId": "1"}),
        (Answered("something else"), {"outcome": "cancelled"}),
    ],
)
def test_a_reply_picks_the_option_of_its_kind(reply: Reply, outcome: dict[str, Any]) -> None:
    peer, _ = prompted()
    call = {"toolCallId": "c", "title": "Edit", "kind": "edit", "locations": [{"path": "a"}]}
    assert peer.ask(call).facts == [PermissionAsked("5", "edit", "Edit", ("a",))]
    (send,) = peer.conversation.reply("5", reply)
    assert send.id == "reply:5"
    assert words(send)["id"] == 5
    assert words(send)["result"]["outcome"] == outcome


@pytest.mark.parametrize("options", [None, [], "allow", [None], [{"kind": "allow_once"}], [{"kind": "dance"}]])
@pytest.mark.parametrize("reply", [Allow(), Deny("no")])
def test_a_request_without_a_fitting_option_is_cancelled(options: Any, reply: Reply) -> None:
    peer, _ = prompted()
    peer.ask({"toolCallId": "c"}, options)
    (send,) = peer.conversation.reply("5", reply)
    assert words(send)["result"]["outcome"] == {"outcome": "cancelled"}


def test_a_request_is_answered_once_and_only_when_it_was_made() -> None:
    peer, _ = prompted()
    peer.ask({"toolCallId": "c"}, id="x-1")
    assert [send.id for send in peer.conversation.reply("x-1", Allow())] == ["reply:x-1"]
    assert peer.conversation.reply("x-1", Deny("too late")) == []
    assert peer.conversation.reply("never", Allow()) == []


def test_a_request_that_names_its_call_by_id_alone_is_judged_by_what_is_known_of_the_call() -> None:
    peer, _ = prompted()
    outside = {"kind": "edit", "title": "Edit", "locations": [{"path": f"{TREE}/secret.py"}]}
    peer.update("tool_call", toolCallId="c", **outside)
    (asked,) = peer.ask({"toolCallId": "c"}).of(PermissionAsked)
    assert asked == PermissionAsked("5", "edit", "Edit", (f"{TREE}/secret.py",))
    reply = permission(asked, Access.WRITE, TREE, OUT, require_scope(["docs/**"]))
    assert isinstance(reply, Deny)


@pytest.mark.parametrize(
    ("raw", "command"),
    [
        ({"command": "make test"}, "make test"),
        ({"command": ["bash", "-lc", "make test"]}, "bash -lc 'make test'"),
        ({"cmd": "x"}, "Run make"),
        (None, "Run make"),
    ],
)
def test_a_command_is_told_as_it_will_run_or_as_it_is_called(raw: Any, command: str) -> None:
    peer, _ = prompted()
    peer.update("tool_call", toolCallId="c", kind="execute", title="Run make", rawInput=raw)
    assert peer.ask({"toolCallId": "c"}).facts == [PermissionAsked("5", "run", "Run make", (), command)]


def test_a_question_is_answered_in_the_persons_words() -> None:
    peer, _ = prompted()
    options = [{"optionId": "a", "name": "red", "kind": "allow_once"}, {"optionId": "b", "name": "blue"}]
    meta = {"heddle": {"question": "Which colour?", "default": "red"}}
    told = peer.ask({"toolCallId": "q", "kind": "other"}, options, _meta=meta)
    assert told.facts == [AnswerAsked("5", "Which colour?", ("red", "blue"), "red")]
    (send,) = peer.conversation.reply("5", Answered("blue"))
    assert words(send)["result"]["outcome"] == {"outcome": "selected", "optionId": "b"}
    peer.ask({"toolCallId": "q", "kind": "other"}, options, id=6, _meta=meta)
    (send,) = peer.conversation.reply("6", Answered("green, if there is any"))
    assert words(send)["result"]["_meta"] == {"heddle": {"answer": "green, if there is any"}}


def form(properties: dict[str, Any], **params: Any) -> tuple[Peer, Told]:
    peer, _ = prompted()
    schema = {"type": "object", "properties": properties}
    told = {"sessionId": "s", "mode": "form", "message": "M", "requestedSchema": schema, **params}
    return peer, peer.line(id=7, method="elicitation/create", params=told)


@pytest.mark.parametrize(
    ("told", "text", "given"),
    [
        ({"type": "string"}, "anything", "anything"),
        ({"type": "string", "enum": ["a", "b"]}, "b", "b"),
        ({"type": "string", "oneOf": [{"const": "x", "title": "X ray"}]}, "X ray", "x"),
        ({"type": "number"}, " 1.5 ", 1.5),
        ({"type": "integer"}, "12", 12),
        ({"type": "boolean"}, "No", False),
    ],
)
def test_an_answer_becomes_what_the_form_wants(told: dict[str, Any], text: str, given: object) -> None:
    peer, asked = form({"name": {"title": "T", **told}})
    assert asked.of(AnswerAsked)[0].text == "M - T"
    (send,) = peer.conversation.reply("7", Answered(text))
    assert words(send)["result"] == {"action": "accept", "content": {"name": given}}
    assert peer.conversation.reply("7", Answered(text)) == []


@pytest.mark.parametrize(
    ("told", "reply"),
    [
        ({"type": "integer"}, Answered("many")),
        ({"type": "number"}, Answered("")),
        ({"type": "boolean"}, Answered("perhaps")),
        ({"type": "string"}, Deny("no")),
        ({"type": "string"}, Allow()),
    ],
)
def test_a_form_is_declined_when_it_is_not_answered_with_what_it_is_for(told: dict[str, Any], reply: Reply) -> None:
    peer, _ = form({"name": told})
    (send,) = peer.conversation.reply("7", reply)
    assert words(send)["result"] == {"action": "decline"}


def test_a_message_without_a_form_is_confirmed() -> None:
    for text, result in (("yes", {"action": "accept", "content": {}}), ("no", {"action": "decline"})):
        peer, asked = form({})
        assert asked.facts == [AnswerAsked("7", "M", ("yes", "no"))]
        (send,) = peer.conversation.reply("7", Answered(text))
        assert words(send)["result"] == result


@pytest.mark.parametrize(
    ("properties", "params"),
    [({"name": {"type": "array"}}, {}), ({"name": {}}, {}), ({}, {"mode": "url", "url": "https://x.example"})],
)
def test_what_no_text_can_answer_is_declined_at_once(properties: dict[str, Any], params: dict[str, Any]) -> None:
    _, told = form(properties, **params)
    (send,) = told.sends
    assert (told.facts, words(send)["result"]) == ([], {"action": "decline"})


def test_a_form_is_settled_by_its_last_question_whatever_was_answered_before() -> None:
    """So that no question of it is left open that nobody waits for."""
    peer, asked = form({"a": {"type": "integer"}, "b": {"type": "string"}, "c": {"type": "string"}})
    assert [one.request for one in asked.of(AnswerAsked)] == ["7", "7#2", "7#3"]
    assert peer.conversation.reply("7", Answered("many")) == []
    assert peer.conversation.reply("7#3", Answered("z")) == []
    (send,) = peer.conversation.reply("7#2", Answered("y"))
    assert words(send)["result"] == {"action": "decline"}


def test_what_a_form_may_leave_out_is_not_asked_for() -> None:
    peer, _ = prompted()
    schema = {"properties": {"a": {"type": "string"}, "b": {"type": "object"}}, "required": ["a"]}
    told = peer.line(id="x#2", method="elicitation/create", params={"message": "M", "requestedSchema": schema})
    assert told.facts == [AnswerAsked("x#2", "M - a")]
    (send,) = peer.conversation.reply("x#2", Answered("here"))
    assert words(send)["result"] == {"action": "accept", "content": {"a": "here"}}


@pytest.mark.parametrize("kind", ["agent_thought_chunk", "plan", "usage_update"])
def test_an_agent_that_thinks_comes_further(kind: str) -> None:
    peer, _ = prompted()
    assert peer.update(kind).facts == [Progressed()]


def test_an_interrupt_cancels_an_open_form() -> None:
    peer, _ = form({"name": {"type": "string"}})
    sends = peer.conversation.interrupt()
    assert [words(send).get("result") for send in sends] == [None, {"action": "cancel"}]
    assert peer.conversation.reply("7", Answered("late")) == []


def test_what_is_not_offered_is_refused_and_a_request_without_an_id_is_not_the_protocol() -> None:
    peer, _ = prompted()
    told = peer.line(id=9, method="fs/write_text_file", params={"path": "/etc/passwd", "content": ""})
    (refused,) = told.sends
    assert refused.id == "refuse:9"
    assert words(refused)["error"]["code"] == -32601
    told = peer.line(method="session/request_permission", params={"toolCall": {}, "options": OPTIONS})
    assert [type(fact) for fact in told.facts] == [Garbled]


# ---------------------------------------------------------------------------------------- the end of a turn


@pytest.mark.parametrize(
    ("stop", "outcome"),
    [
        ("end_turn", TurnOutcome.ENDED),
        ("cancelled", TurnOutcome.INTERRUPTED),
        ("refusal", TurnOutcome.FAILED),
        ("max_tokens", TurnOutcome.FAILED),
        ("max_turn_requests", TurnOutcome.FAILED),
        ("out_of_ideas", TurnOutcome.FAILED),
        (None, TurnOutcome.FAILED),
    ],
)
def test_each_stop_reason_has_an_outcome(stop: str | None, outcome: TurnOutcome) -> None:
    peer, prompt = prompted()
    (ended,) = peer.answer(prompt, {"stopReason": stop}).of(TurnEnded)
    assert ended.outcome is outcome
    assert (str(stop or "no reason") in ended.error) is (outcome is TurnOutcome.FAILED)


def test_a_turn_ends_once_and_by_its_own_answer_alone() -> None:
    peer, first = prompted()
    peer.answer(first, {"stopReason": "end_turn"})
    (second,) = peer.conversation.prompt("Mend it", 2)
    assert second.id == "prompt:2"
    assert peer.answer(first, {"stopReason": "end_turn"}).facts == []
    assert peer.refuse(first, "late").facts == []
    assert len(peer.answer(second, {"stopReason": "end_turn"}).of(TurnEnded)) == 1
    assert peer.answer(second, {"stopReason": "end_turn"}).facts == []


def test_the_text_of_a_turn_is_the_agents_last_message() -> None:
    peer, prompt = prompted()
    chunks = [peer.say("I look "), peer.say("first.")]
    assert [said.text for told in chunks for said in told.of(Said)] == ["I look ", "first."]
    peer.update("tool_call", toolCallId="c", title="Read", kind="read")
    peer.say("+++\n")
    peer.update("agent_thought_chunk", content={"type": "text", "text": "hm"})
    peer.say("scope")
    assert peer.answer(prompt, {"stopReason": "end_turn"}).facts == [TurnEnded(TurnOutcome.ENDED, "+++\nscope")]
    (prompt,) = peer.conversation.prompt("Mend it", 2)
    peer.say("Wait.", messageId="m1")
    peer.say("Do", messageId="m2")
    peer.say("ne.", messageId="m2")
    assert peer.answer(prompt, {"stopReason": "end_turn"}).facts == [TurnEnded(TurnOutcome.ENDED, "Done.")]


@pytest.mark.parametrize("content", [None, "text", {"type": "image", "data": ""}, {"type": "text", "text": None}])
def test_a_message_without_text_says_nothing(content: Any) -> None:
    peer, prompt = prompted()
    assert peer.update("agent_message_chunk", content=content).facts == []
    assert peer.answer(prompt, {"stopReason": "end_turn"}).facts == [TurnEnded(TurnOutcome.ENDED, "")]


def test_an_error_ends_the_turn_with_all_that_the_agent_told_of_it() -> None:
    for data, error in (
        (None, "Internal error"),
        ({"details": "the model is on fire"}, "Internal error: the model is on fire"),
        ({"message": "no credit"}, "Internal error: no credit"),
        ("on fire", "Internal error: on fire"),
        ([1], "Internal error"),
    ):
        peer, prompt = prompted()
        peer.say("half")
        assert peer.refuse(prompt, "Internal error", data).facts == [TurnEnded(TurnOutcome.FAILED, "half", error)]


def test_an_interrupt_cancels_the_turn_and_every_open_request() -> None:
    peer, prompt = prompted()
    peer.ask({"toolCallId": "c"}, id=5)
    cancel, withdrawn = peer.conversation.interrupt()
    assert (cancel.id, withdrawn.id) == ("interrupt:1", "reply:5")
    assert words(cancel) == {"method": "session/cancel", "params": {"sessionId": "s"}}
    assert words(withdrawn) == {"id": 5, "result": {"outcome": {"outcome": "cancelled"}}}
    assert peer.conversation.reply("5", Allow()) == []
    assert peer.answer(prompt, {"stopReason": "cancelled"}).facts == [TurnEnded(TurnOutcome.INTERRUPTED, "")]
    assert peer.conversation.interrupt() == []


# -------------------------------------------------------------------------------------------------- usage


def cost(amount: Any, currency: str = "USD") -> dict[str, Any]:
    return {"used": 9, "size": 99, "cost": {"amount": amount, "currency": currency}}


def spent(told: Told) -> list[Usage]:
    return [fact.usage for fact in told.of(UsageReported)]


@pytest.mark.parametrize(
    ("update", "seen"),
    [
        ({"used": 9, "size": 99}, [ContextSeen(9, 99)]),
        ({"used": 9}, []),
        ({"used": -1, "size": 99}, []),
        ({"used": 9, "size": 0}, []),
        ({"used": "9", "size": 99}, []),
        ({"used": 2**70, "size": 2**80}, []),
    ],
)
def test_how_full_the_context_is_is_told_where_the_agent_says_so(update: dict[str, Any], seen: list[Fact]) -> None:
    peer, _ = prompted()
    assert peer.update("usage_update", **update).of(ContextSeen) == seen


def test_a_running_total_of_cost_is_told_as_what_each_turn_added() -> None:
    peer, prompt = prompted()
    peer.update("usage_update", **cost(0.25))
    peer.update("usage_update", **cost(0.5))
    counts = {"inputTokens": 10, "outputTokens": 2, "cachedReadTokens": 5, "cachedWriteTokens": None, "totalTokens": 17}
    told = peer.answer(prompt, {"stopReason": "end_turn", "usage": counts})
    assert spent(told) == [Usage(10, 2, 5, 0, 0.5)]
    assert isinstance(told.facts[-1], TurnEnded)
    (prompt,) = peer.conversation.prompt("Again", 2)
    peer.update("usage_update", **cost(0.75))
    assert spent(peer.answer(prompt, {"stopReason": "end_turn", "usage": counts})) == [Usage(10, 2, 5, 0, 0.25)]
    (prompt,) = peer.conversation.prompt("And again", 3)
    assert spent(peer.answer(prompt, {"stopReason": "end_turn", "usage": counts})) == [Usage(10, 2, 5, 0, None)]
    (prompt,) = peer.conversation.prompt("Free?", 4)
    assert spent(peer.answer(prompt, {"stopReason": "end_turn"})) == []


@pytest.mark.parametrize(
    "totals",
    [
        [cost(0.5), cost(0.25)],
        [cost(0.5, "EUR")],
        [cost(0.5), cost(1, "EUR")],
        [cost(True)],
        [cost("0.5")],
        [cost(None)],
        [{"used": 9, "size": 99, "cost": 7}],
        [{"used": 9, "size": 99}],
    ],
)
def test_a_price_that_is_not_known_is_unknown_and_never_a_guess(totals: list[dict[str, Any]]) -> None:
    peer, prompt = prompted()
    for total in totals:
        peer.update("usage_update", **total)
    assert spent(peer.answer(prompt, {"stopReason": "end_turn", "usage": {"inputTokens": 1}})) == [Usage(1)]


def test_a_number_that_is_none_in_json_is_no_price() -> None:
    peer, prompt = prompted()
    line = b'{"method":"session/update","params":{"update":{"sessionUpdate":"usage_update","cost":{"amount":%s,"currency":"USD"}}}}'
    for amount in (b"NaN", b"1e999", b"1" * 400):
        assert peer.conversation.receive(line % amount) == [Progressed()]
    assert spent(peer.answer(prompt, {"stopReason": "end_turn", "usage": {"inputTokens": 1}})) == [Usage(1)]


def test_after_a_resumption_the_first_total_is_only_where_counting_begins() -> None:
    peer, prompt = prompted(resume="s-1")
    peer.update("usage_update", **cost(7.5))
    assert spent(peer.answer(prompt, {"stopReason": "end_turn", "usage": {"inputTokens": 1}})) == [Usage(1)]
    (prompt,) = peer.conversation.prompt("Again", 2)
    peer.update("usage_update", **cost(8.0))
    assert spent(peer.answer(prompt, {"stopReason": "end_turn"})) == [Usage(usd=0.5)]


def test_what_was_spent_before_an_error_or_an_end_counts() -> None:
    peer, prompt = prompted()
    peer.update("usage_update", **cost(0.5))
    assert spent(peer.refuse(prompt, "overloaded")) == [Usage(usd=0.5)]
    peer, prompt = prompted()
    peer.update("usage_update", **cost(0.5))
    facts = peer.conversation.exited(Exit(1, None, "exited"), "")
    assert facts[0] == UsageReported(Usage(usd=0.5))


# ------------------------------------------------------------------------------------------ the process's end


@pytest.mark.parametrize(
    ("exit", "how"),
    [
        (Exit(3, None, "exited"), "status 3"),
        (Exit(None, 9, "exited"), "signal 9"),
        (Exit(None, 9, "transcript-limit"), "transcript-limit"),
        (Exit(None, None, "holder-lost"), "holder-lost"),
    ],
)
@pytest.mark.parametrize("begun", [False, True])
def test_an_agent_that_leaves_before_its_turn_is_over_has_failed(exit: Exit, how: str, begun: bool) -> None:
    peer = prompted()[0] if begun else Peer()
    facts: list[Fact] = peer.conversation.exited(exit, "warning\nno API key is set\n")
    (ended,) = facts
    assert isinstance(ended, TurnEnded)
    assert ended.outcome is TurnOutcome.FAILED
    assert how in ended.error
    assert "no API key is set" in ended.error
    assert peer.conversation.exited(exit, "") == []


def test_an_agent_that_leaves_after_its_turn_says_nothing_more() -> None:
    peer, prompt = prompted()
    peer.answer(prompt, {"stopReason": "end_turn"})
    assert peer.conversation.exited(Exit(0, None, "exited"), "bye") == []
