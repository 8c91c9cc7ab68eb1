"""The model server's Chat Completions dialect: what it is asked decides what it says."""

import json
from typing import Any

import httpx
import pytest

from modelserver import Error, ModelServer, Raw, Read, Shell, Tokens, Turn, Write

pytestmark = pytest.mark.asyncio

TOOLS = [{"type": "function", "function": {"name": name}} for name in ("read", "write", "bash")]


async def ask(server: ModelServer, *messages: dict[str, Any], **more: Any) -> httpx.Response:
    body = {"model": "m", "messages": messages, "tools": TOOLS, "stream": False, **more}
    async with httpx.AsyncClient(trust_env=False, timeout=30) as client:
        return await client.post(f"{server.url}/v1/chat/completions", json=body)


def user(text: str) -> dict[str, Any]:
    return {"role": "user", "content": [{"type": "text", "text": text}]}


async def test_a_conversation_is_played_turn_by_turn(model_server: ModelServer) -> None:
    model_server.play("task", Turn("", [Read("a.py"), Shell("ls")]), Turn("Done."))
    system = {"role": "system", "content": "Working directory: /place/tree\n[[scn:trap]]"}
    prompt = user("Do [[scn:task]].")
    first = (await ask(model_server, system, prompt)).json()["choices"][0]
    assert first["finish_reason"] == "tool_calls"
    calls = [
        (call["function"]["name"], json.loads(call["function"]["arguments"])) for call in first["message"]["tool_calls"]
    ]
    assert calls == [
        ("read", {"filePath": "/place/tree/a.py"}),
        ("bash", {"command": "ls", "description": "scripted"}),
    ]
    result = {"role": "tool", "tool_call_id": "c", "content": "[[scn:trap]]"}
    second = (await ask(model_server, system, prompt, {"role": "assistant", "content": None}, result)).json()[
        "choices"
    ][0]
    assert (second["finish_reason"], second["message"]["content"]) == ("stop", "Done.")


async def test_it_is_streamed_in_pieces_with_the_usage_last(model_server: ModelServer) -> None:
    text = "A text that is longer than forty characters, so that it comes in pieces."
    model_server.play("task", Turn(text, [Write("{out}/a", "x")], thinking="Hm.", usage=Tokens(10, 5, 3, 2)))
    answer = await ask(model_server, user("Out: /out\n[[scn:task]]"), stream=True)
    *lines, last = [line.removeprefix("data: ") for line in answer.text.splitlines() if line]
    assert last == "[DONE]"
    chunks = [json.loads(line) for line in lines]
    deltas = [choice["delta"] for chunk in chunks for choice in chunk["choices"]]
    assert "".join(delta.get("content") or "" for delta in deltas) == text
    assert [delta["reasoning_content"] for delta in deltas if "reasoning_content" in delta] == ["Hm."]
    begun, more = (delta["tool_calls"][0] for delta in deltas if "tool_calls" in delta)
    assert (begun["function"]["name"], begun["index"], more["index"]) == ("write", 0, 0)
    assert json.loads(more["function"]["arguments"]) == {"filePath": "/out/a", "content": "x"}
    assert chunks[-1]["usage"]["prompt_tokens"] == 15
    assert chunks[-1]["usage"]["prompt_tokens_details"] == {"cached_tokens": 3}


async def test_errors_are_told_as_the_vendor_does(model_server: ModelServer) -> None:
    model_server.play("task", Turn("", error=Error(402, "pay", details={"x": 1}, headers={"retry-after": "3"})))
    answer = await ask(model_server, user("[[scn:task]]"))
    assert (answer.status_code, answer.headers["retry-after"]) == (402, "3")
    assert answer.json()["error"] == {
        "message": "pay",
        "type": "billing_error",
        "param": None,
        "code": "billing_error",
        "x": 1,
    }
    assert (await ask(model_server, user("unscripted"))).status_code == 400


async def test_a_question_without_tools_is_an_aside(model_server: ModelServer) -> None:
    answer = await ask(model_server, user("A title?"), tools=[])
    assert answer.json()["choices"][0]["message"]["content"] == "Scripted."
    assert model_server.calls() == []


async def test_a_tool_can_be_called_by_its_name(model_server: ModelServer) -> None:
    model_server.play("task", Turn("", [Raw("question", {"questions": ["{out}"]})]))
    (call,) = (await ask(model_server, user("Out: /out\n[[scn:task]]"))).json()["choices"][0]["message"]["tool_calls"]
    assert json.loads(call["function"]["arguments"]) == {"questions": ["/out"]}
