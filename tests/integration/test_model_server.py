"""The model server of the tests: what it is asked decides what it says."""

import asyncio
import json
from typing import Any

import httpx
import pytest

from modelserver import NEVER, Error, ModelServer, Read, Tokens, Turn, When, Write

pytestmark = pytest.mark.asyncio

TOOLS = [{"name": name, "input_schema": {"type": "object"}} for name in ("Read", "Write", "Bash")]
STAGE = "Stage: {}\nAttempt: {}\nOut: /place/out\n\n[[scn:task]]"


def user(text: str) -> dict[str, str]:
    return {"role": "user", "content": text}


def model(text: str) -> dict[str, str]:
    return {"role": "assistant", "content": text}


async def ask(server: ModelServer, *messages: dict[str, str], **more: Any) -> httpx.Response:
    body = {"model": "m", "messages": messages, "tools": TOOLS, "max_tokens": 10, **more}
    async with httpx.AsyncClient(trust_env=False, timeout=30) as client:
        return await client.post(f"{server.url}/v1/messages", json=body, headers=more.pop("headers", None))


async def said(server: ModelServer, *messages: dict[str, str]) -> str:
    return "".join(block.get("text", "") for block in (await ask(server, *messages)).json()["content"])


async def test_the_marker_chooses_and_the_number_of_answers_since_tells_the_turn(
    model_server: ModelServer,
) -> None:
    model_server.play("one", Turn("first"), Turn("second"))
    model_server.play("two", Turn("other"))
    prompt = user("Do [[scn:one]].")
    assert await said(model_server, prompt) == "first"
    assert await said(model_server, prompt) == "first"
    assert await said(model_server, prompt, model("first"), user("go on")) == "second"
    assert await said(model_server, prompt, model("first"), user("Now [[scn:two]].")) == "other"
    assert (
        await said(model_server, prompt, model("first"), model("second"), user("more")) == "Done: the script has ended."
    )


async def test_stage_attempt_and_patterns_narrow_the_choice_and_the_narrowest_wins(
    model_server: ModelServer,
) -> None:
    model_server.play(When("task", stage="execute", attempt=2), Turn("again"))
    model_server.play(When("task", stage="execute"), Turn("execute"))
    model_server.play(When("task"), Turn("any"))
    model_server.play(When(patterns=("^Mend ",)), Turn("mended"))
    assert await said(model_server, user(STAGE.format("plan", 1))) == "any"
    assert await said(model_server, user(STAGE.format("execute", 1))) == "execute"
    assert await said(model_server, user(STAGE.format("execute", 2))) == "again"
    assert await said(model_server, user(STAGE.format("plan", 1)), model("any"), user("Mend it.")) == "mended"


async def test_what_tools_return_and_what_the_program_adds_choose_nothing(model_server: ModelServer) -> None:
    model_server.play("task", Turn("task"), Turn("still the task"))
    model_server.play("trap", Turn("trapped"))
    result: Any = {"type": "tool_result", "tool_use_id": "t", "content": "[[scn:trap]]"}
    reminder = {"type": "text", "text": "<system-reminder>[[scn:trap]]</system-reminder>"}
    last: Any = {"role": "user", "content": [result, reminder]}
    assert await said(model_server, user("[[scn:task]]"), model("task"), last) == "still the task"


async def test_fields_of_the_prompt_are_filled_in(model_server: ModelServer) -> None:
    model_server.play("task", Turn("Out is {out}, {unknown}", [Write("{out}/plan.md", "at {attempt}"), Read("a.py")]))
    answer = await ask(model_server, user(STAGE.format("plan", 3)), system="Working directory: /place/tree\n")
    text, write, read = answer.json()["content"]
    assert text["text"] == "Out is /place/out, {unknown}"
    assert write["input"] == {"file_path": "/place/out/plan.md", "content": "at 3"}
    assert read["input"] == {"file_path": "/place/tree/a.py"}
    assert answer.json()["stop_reason"] == "tool_use"


async def test_a_stream_says_the_same_as_a_whole_answer(model_server: ModelServer) -> None:
    long = "word " * 50
    model_server.play("task", Turn(long, [Read("/a")], thinking="hm", usage=Tokens(output=7), headers={"x-limit": "1"}))
    streamed = await ask(model_server, user("[[scn:task]]"), stream=True)
    events = [json.loads(line[6:]) for line in streamed.text.splitlines() if line.startswith("data: ")]
    deltas = [event["delta"] for event in events if event["type"] == "content_block_delta"]
    assert "".join(delta.get("text", "") for delta in deltas) == long
    assert json.loads("".join(delta.get("partial_json", "") for delta in deltas)) == {"file_path": "/a"}
    assert [event["usage"]["output_tokens"] for event in events if event["type"] == "message_delta"] == [7]
    assert events[-1] == {"type": "message_stop"}
    assert streamed.headers["x-limit"] == "1"


async def test_an_error_lasts_as_often_as_it_was_told_to(model_server: ModelServer) -> None:
    model_server.play("task", Turn("well", error=Error(529, "busy", times=2, headers={"retry-after": "1"})))
    answers = [await ask(model_server, user("[[scn:task]]")) for _ in range(3)]
    assert [answer.status_code for answer in answers] == [529, 529, 200]
    assert answers[0].json()["error"] == {"type": "overloaded_error", "message": "busy"}
    assert answers[0].headers["retry-after"] == "1"


async def test_a_dropped_connection_is_one_without_an_answer(model_server: ModelServer) -> None:
    model_server.play("task", Turn("well", error=Error(drop=True)))
    with pytest.raises(httpx.RemoteProtocolError):
        await ask(model_server, user("[[scn:task]]"))
    assert await said(model_server, user("[[scn:task]]")) == "well"
    await asyncio.to_thread(model_server.wait_calls, lambda call: call.outcome == "answered")
    assert [call.outcome for call in model_server.calls("task")] == ["dropped", "answered"]


async def test_turns_wait_at_a_gate_together(model_server: ModelServer) -> None:
    model_server.play("task", Turn("through", gate="both"))
    asked = [asyncio.ensure_future(said(model_server, user("[[scn:task]]"))) for _ in range(2)]
    await asyncio.to_thread(model_server.wait_at, "both", 2)
    assert [call.outcome for call in model_server.calls()] == ["", ""]
    model_server.open("both")
    assert await asyncio.gather(*asked) == ["through", "through"]


async def test_a_gate_at_the_end_holds_a_message_that_has_begun(model_server: ModelServer) -> None:
    model_server.play("task", Turn("half", gate_end="rest"))
    asked = asyncio.ensure_future(ask(model_server, user("[[scn:task]]"), stream=True))
    await asyncio.to_thread(model_server.wait_at, "rest")
    async with httpx.AsyncClient(trust_env=False) as client:
        await client.post(f"{model_server.url}/_open/rest")
    assert "message_stop" in (await asked).text


async def test_an_agent_that_goes_away_leaves_the_gate(model_server: ModelServer) -> None:
    model_server.play("task", Turn("never", gate=NEVER))
    asked = asyncio.ensure_future(ask(model_server, user("[[scn:task]]")))
    await asyncio.to_thread(model_server.wait_at, NEVER)
    asked.cancel()
    await asyncio.to_thread(model_server.wait_calls, lambda call: call.outcome == "gone")


async def test_the_server_closes_although_a_request_waits() -> None:
    with ModelServer() as server:
        server.play("task", Turn("never", gate=NEVER))
        asked = asyncio.ensure_future(ask(server, user("[[scn:task]]")))
        await asyncio.to_thread(server.wait_at, NEVER)
    with pytest.raises(httpx.HTTPError):
        await asked


async def test_a_prompt_without_a_scenario_is_a_clear_error(model_server: ModelServer) -> None:
    answer = await ask(model_server, user("Hello?"))
    assert answer.status_code == 400
    assert "no scenario for: Hello?" in answer.json()["error"]["message"]


async def test_a_tool_that_is_not_offered_is_a_clear_error(model_server: ModelServer) -> None:
    model_server.play("task", Turn("", [Read("a")]))
    answer = await ask(model_server, user("[[scn:task]]"), tools=TOOLS[1:])
    assert answer.status_code == 400
    assert "offers no tool" in answer.json()["error"]["message"]


async def test_questions_beside_the_conversation_are_answered_and_not_counted(
    model_server: ModelServer,
) -> None:
    answer = await ask(model_server, user("Title?"), tools=[], output_config={"format": "json"})
    assert json.loads(answer.json()["content"][0]["text"]) == {"title": "Scripted"}
    assert model_server.calls() == []


async def test_waiting_for_what_does_not_come_says_what_was_there(model_server: ModelServer) -> None:
    with pytest.raises(TimeoutError, match="gate 'none'"):
        model_server.wait_at("none", timeout_s=0.01)


# ------------------------------------------------------------------------------------------------ gemini


async def ask_gemini(server: ModelServer, *contents: tuple[str, str], how: str = "generateContent") -> httpx.Response:
    told = [{"role": role, "parts": [{"text": text}]} for role, text in contents]
    declared = [{"name": name} for name in ("read_file", "write_file", "run_shell_command")]
    body = {"contents": told, "tools": [{"functionDeclarations": declared}]}
    async with httpx.AsyncClient(trust_env=False, timeout=30) as client:
        return await client.post(f"{server.url}/v1beta/models/pro:{how}", json=body)


async def test_gemini_is_asked_and_answers_in_its_own_words(model_server: ModelServer) -> None:
    model_server.play("task", Turn("I look.", [Read("a.py")]), Turn("Done."))
    answer = (await ask_gemini(model_server, ("user", "[[scn:task]]"))).json()
    text, call = answer["candidates"][0]["content"]["parts"]
    assert text == {"text": "I look."}
    assert (call["functionCall"]["name"], call["functionCall"]["args"]) == ("read_file", {"file_path": "a.py"})
    assert answer["usageMetadata"]["promptTokenCount"] == 1400
    again = await ask_gemini(model_server, ("user", "[[scn:task]]"), ("model", "I look."), ("user", ""))
    assert again.json()["candidates"][0]["content"]["parts"] == [{"text": "Done."}]
    assert [call.model for call in model_server.calls()] == ["pro", "pro"]


async def test_gemini_streams_events_without_names(model_server: ModelServer) -> None:
    model_server.play("task", Turn("x" * 100))
    streamed = (await ask_gemini(model_server, ("user", "[[scn:task]]"), how="streamGenerateContent")).text
    pieces = [json.loads(part.removeprefix("data: ")) for part in streamed.strip().split("\n\n")]
    texts = [piece["candidates"][0]["content"]["parts"][0]["text"] for piece in pieces]
    assert "".join(texts) == "x" * 100
    assert pieces[-1]["candidates"][0]["finishReason"] == "STOP"


@pytest.mark.parametrize(
    ("status", "word"), [(401, "UNAUTHENTICATED"), (429, "RESOURCE_EXHAUSTED"), (503, "UNAVAILABLE"), (500, "INTERNAL")]
)
async def test_gemini_fails_in_its_own_words(model_server: ModelServer, status: int, word: str) -> None:
    model_server.play("task", Turn("", error=Error(status, type="PerDay" if status == 429 else "")))
    answer = await ask_gemini(model_server, ("user", "[[scn:task]]"))
    error = answer.json()["error"]
    assert (answer.status_code, error["code"], error["status"], "details" in error) == (
        status,
        status,
        word,
        status == 429,
    )
