"""Gemini CLI's stream as it really was: recorded turns, replayed through the conversation. And what was not recorded."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gemini_recordings import FOLDERS, conversation, recording, replay
from heddle.adapters.agents.turns import TurnsConversation
from heddle.core.session import (
    Access,
    AgentReady,
    Allow,
    Brief,
    Fact,
    Garbled,
    LimitKind,
    LimitSeen,
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

RECORDINGS = sorted(path for folder in FOLDERS for path in folder.glob("*.jsonl"))
LOST = Exit(None, 9, "exited")

DEEP = "[" * 100_000 + "]" * 100_000
GARBAGE = [
    DEEP,
    json.dumps({"turn": 1, "out": f'{{"type":"tool_use","parameters":{{"a":{DEEP}}}}}'}).replace(" ", ""),
    "Segmentation fault",
    "{",
    "[]",
    "{}",
    "null",
    "7",
    '{"turn":1}',
    '{"turn":"1","out":"x"}',
    '{"turn":1,"out":7}',
    '{"turn":1,"exit":"0","why":""}',
    '{"turn":1,"out":"{"}',
    '{"turn":1,"out":"loading ..."}',
    '{"turn":1,"out":"{\\"type\\":\\"result\\",\\"stats\\":7}"}',
    '{"turn":1,"out":"{\\"type\\":\\"tool_use\\",\\"parameters\\":[]}"}',
    "\x00\xff",
]
ELSEWHERE = ['{"turn":99,"out":"x"}', '{"turn":99,"exit":0,"signal":null,"why":""}', '{"refused":"not an order"}']


def entries(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def sent(lines: list[dict[str, Any]]) -> list[Send]:
    return [Send(line["sent"], line["data"].encode()) for line in lines if "sent" in line]


def begun(*, access: Access = Access.WRITE, resume: str = "") -> TurnsConversation:
    made = conversation(Brief("T1.1", "Go", access, "/place/tree", "/place/out", resume=resume))
    made.open()
    return made


def relayed(made: TurnsConversation, turn: int = 1, **message: Any) -> list[Fact | Send]:
    return made.receive(json.dumps({"turn": turn, **message}).encode())


def told(made: TurnsConversation, turn: int = 1, **line: Any) -> list[Fact | Send]:
    return relayed(made, turn, out=json.dumps(line))


def ended(
    made: TurnsConversation, code: int | None = 0, turn: int = 1, why: str = "", **more: Any
) -> list[Fact | Send]:
    return relayed(made, turn, exit=code, signal=None, why=why, **more)


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
    noise = [text.replace('"turn":1', f'"turn":{turn}') for turn in (1, 2) for text in (*GARBAGE, *ELSEWHERE)]
    heard = replay([item for entry in lines for item in (entry, *({"said": text} for text in noise))])
    clean = replay(lines)
    assert [fact for fact in heard.facts if not isinstance(fact, Garbled)] == clean.facts
    assert heard.sends == clean.sends
    assert heard.of(Garbled)


@pytest.mark.parametrize("path", RECORDINGS, ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_every_prompt_has_one_end_of_its_turn(path: Path) -> None:
    heard = replay(entries(path))
    prompts = [message for message in heard.sends if message.id.startswith("prompt:")]
    assert len(heard.of(TurnEnded)) == len(prompts)


@given(st.data())
@settings(max_examples=200, deadline=None)
def test_whatever_a_relay_or_a_program_says_nothing_is_raised_and_a_turn_ends_at_most_once(data: st.DataObject) -> None:
    values = st.recursive(
        st.none() | st.booleans() | st.integers(-5, 300) | st.floats() | st.text(max_size=12),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
        max_leaves=6,
    )
    kinds = st.sampled_from(["init", "message", "tool_use", "tool_result", "error", "result", "novelty"])
    keys = st.sampled_from(["status", "stats", "error", "content", "role", "tool_name", "parameters", "session_id"])
    events = st.builds(lambda kind, more: {"type": kind, **more}, kinds, st.dictionaries(keys, values, max_size=4))
    relayed_keys = st.sampled_from(["turn", "out", "err", "exit", "signal", "why", "detail"])
    lines = st.one_of(
        st.binary(max_size=40),
        values.map(lambda value: json.dumps(value).encode()),
        events.map(lambda event: json.dumps({"turn": 1, "out": json.dumps(event)}).encode()),
        st.dictionaries(relayed_keys, values, max_size=5).map(lambda one: json.dumps({"turn": 1, **one}).encode()),
    )
    made, facts = begun(), []
    for line in data.draw(st.lists(lines, max_size=20)):
        facts += made.receive(line)
    facts += made.exited(LOST, "")
    assert sum(isinstance(fact, TurnEnded) for fact in facts) == 1


def test_a_whole_turn() -> None:
    heard = replay(recording("done"))
    assert [call.kind for call in heard.of(ToolCalled)] == ["read", "edit", "edit", "run"]
    assert heard.of(ToolCalled)[3].title == "run_shell_command cat hello.txt > out.txt"
    assert [said.text for said in heard.of(Said)] == ["I look first.", "Done."]
    assert heard.of(UsageReported) == [UsageReported(Usage(5000, 250, 2000))]
    assert heard.facts[-1] == TurnEnded(TurnOutcome.ENDED, "Done.")


def test_a_document_is_the_last_message_of_its_turn_and_can_be_mended_in_a_second_one() -> None:
    heard = replay(recording("plan"))
    assert [end.text for end in heard.of(TurnEnded)] == ["No plan.", "# Plan\n\nOne step.\n"]
    assert [end.ok for end in heard.of(ToolEnded)] == [True, False]
    assert len(heard.of(AgentReady)) == 1
    assert [report.usage.input_tokens for report in heard.of(UsageReported)] == [3000, 1000]


@pytest.mark.parametrize(("name", "status"), [("quota", 429), ("refused", 401)])
def test_a_limit_is_told_by_the_status_alone_and_stays_unknown(name: str, status: int) -> None:
    heard = replay(recording(name))
    (limit,) = heard.of(LimitSeen)
    assert (limit.kind, limit.detail.startswith(f"status {status}: ")) == (LimitKind.UNKNOWN, True)
    assert heard.of(TurnEnded)[0].outcome is TurnOutcome.LIMITED


def test_a_bad_request_is_a_failure_and_no_limit() -> None:
    heard = replay(recording("bad"))
    assert (heard.of(LimitSeen), heard.of(TurnEnded)[0].outcome) == ([], TurnOutcome.FAILED)


def test_an_interrupted_turn_is_told_as_that_though_the_program_ends_with_0() -> None:
    heard = replay(recording("interrupt"))
    assert [end.outcome for end in heard.of(TurnEnded)] == [TurnOutcome.INTERRUPTED, TurnOutcome.ENDED]


def test_a_killed_program_fails_its_turn_and_the_resumed_one_counts_only_itself() -> None:
    (end,) = replay(recording("killed")).of(TurnEnded)
    assert (end.outcome, end.error.startswith("the agent ended with signal 9")) == (TurnOutcome.FAILED, True)
    heard = replay(recording("resumed"))
    assert heard.of(UsageReported) == [UsageReported(Usage(1000, 50, 400))]
    assert heard.facts[-1] == TurnEnded(TurnOutcome.ENDED, "Back again.")


@pytest.mark.parametrize(
    ("name", "words"), [("unknown-session", "Invalid session identifier"), ("session-in-use", "already exists")]
)
def test_a_conversation_that_cannot_be_had_fails_with_the_words_of_the_program(name: str, words: str) -> None:
    heard = replay(recording(name))
    (end,) = heard.of(TurnEnded)
    assert (end.outcome, words in end.error, heard.of(AgentReady)) == (TurnOutcome.FAILED, True, [])


# ------------------------------------------------------------------------------- what was not recorded


def test_a_turn_that_only_reads_is_started_as_such() -> None:
    made = conversation(Brief("T1.1", "Go", Access.READ, "/place/tree", "/place/out"))
    (order,) = (json.loads(send.data) for send in made.open())
    assert order["argv"][order["argv"].index("--approval-mode") + 1] == "plan"
    assert "--model" not in order["argv"]
    assert order["stdin"] == "Go"


def test_words_of_a_prompt_are_no_placeholders() -> None:
    (order,) = conversation(Brief("T1.1", "{session} {model}", Access.WRITE, "/t", "/o", "{tree}")).open()
    told = json.loads(order.data)
    assert (told["stdin"], told["argv"][-1]) == ("{session} {model}", "{tree}")


def test_unknown_events_are_ignored() -> None:
    made = begun()
    assert told(made, type="novelty", data=[1]) == []
    assert told(made, type="message", role="user", content="hello") == []


def test_such_an_agent_asks_nothing_and_is_interrupted_only_in_a_turn() -> None:
    made = begun()
    assert made.reply("r1", Allow()) == []
    assert [send.id for send in made.interrupt()] == ["interrupt:1"]
    ended(made)
    assert made.interrupt() == []
    assert made.exited(Exit(0, None, "exited"), "") == []


def test_a_turn_has_ended_when_the_program_said_so_though_it_then_would_not_leave() -> None:
    made = begun()
    told(made, type="message", role="assistant", content="Done.")
    told(made, type="result", status="success")
    assert ended(made, None, why="silence")[-1] == TurnEnded(TurnOutcome.ENDED, "Done.")


def test_an_end_with_0_and_without_a_result_is_no_success() -> None:
    made = begun()
    told(made, type="message", role="assistant", content="I look.")
    (said, end) = ended(made, 0)
    assert isinstance(end, TurnEnded)
    assert (said, end.outcome) == (Said("I look."), TurnOutcome.FAILED)


def test_a_success_of_a_program_that_failed_is_no_success() -> None:
    made = begun()
    told(made, type="result", status="success")
    end = ended(made, 1)[-1]
    assert isinstance(end, TurnEnded)
    assert end.outcome is TurnOutcome.FAILED


@pytest.mark.parametrize(
    ("code", "error", "kind"),
    [
        (41, "", LimitKind.AUTHENTICATION),
        (173, "429", LimitKind.UNKNOWN),
        (173, "", None),
        (247, "503", LimitKind.UNKNOWN),
        (144, "400", None),
        (53, "too many turns", None),
        (1, "rate limit exceeded, quota, 429", None),
        (0, "429", None),
        (None, "429", None),
    ],
)
def test_limits_are_told_from_the_status_never_from_words(code: int | None, error: str, kind: LimitKind | None) -> None:
    made = begun()
    if error:
        told(made, type="result", status="error", error={"type": "unknown", "message": error})
    facts = ended(made, code)
    assert [fact.kind for fact in facts if isinstance(fact, LimitSeen)] == ([kind] if kind else [])
    end = facts[-1]
    assert isinstance(end, TurnEnded)
    assert end.outcome is (TurnOutcome.LIMITED if kind else TurnOutcome.FAILED)


def test_an_error_of_one_turn_does_not_colour_the_next() -> None:
    made = begun()
    relayed(made, err="first")
    told(made, type="result", status="error", error={"message": "429"})
    ended(made, 173)
    made.prompt("again", 2)
    end = ended(made, 1, turn=2)[-1]
    assert end == TurnEnded(TurnOutcome.FAILED, "", "the agent ended with status 1")


def test_what_was_thought_is_counted_as_output_and_what_was_cached_is_no_input() -> None:
    made = begun()
    stats = {"total_tokens": 1000, "input_tokens": 700, "output_tokens": 100, "cached": 300}
    told(made, type="result", status="success", stats=stats)
    assert ended(made)[0] == UsageReported(Usage(400, 300, 300))


def test_a_relay_that_is_lost_fails_the_turn() -> None:
    made = begun()
    (end,) = made.exited(LOST, "words")
    assert end == TurnEnded(TurnOutcome.FAILED, "", "the agent ended with signal 9 in the middle of its turn words")
    assert made.exited(LOST, "") == []


def test_an_agent_that_could_not_be_started_says_why() -> None:
    (end,) = ended(begun(), None, why="start-failed", detail="No such file: gemini")
    assert isinstance(end, TurnEnded)
    assert "No such file: gemini" in end.error
