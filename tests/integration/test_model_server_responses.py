"""The model server's OpenAI Responses dialect: what it is asked decides what it says."""

import json
from typing import Any

import httpx
import pytest

from modelserver import Edit, Error, ModelServer, Raw, Read, Shell, Tokens, Turn, When, Write

pytestmark = pytest.mark.asyncio

MODERN = [{"type": "namespace", "name": "functions", "tools": [{"type": "custom", "name": "exec"}]}]
PLAIN = [{"type": "function", "name": "exec_command"}, {"type": "web_search"}]
CONTEXT = "<environment_context>\n  <cwd>/place/tree</cwd>\n[[scn:trap]]</environment_context>"


def user(text: str) -> dict[str, Any]:
    return {"type": "message", "role": "user", "content": [{"type": "input_text", "text": text}]}


def model(text: str) -> dict[str, Any]:
    return {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": text}]}


async def ask(server: ModelServer, *items: dict[str, Any], **more: Any) -> httpx.Response:
    body = {"model": "m", "input": items, "tools": PLAIN, "stream": False, **more}
    async with httpx.AsyncClient(trust_env=False, timeout=30) as client:
        return await client.post(f"{server.url}/v1/responses", json=body)


async def said(server: ModelServer, *items: dict[str, Any]) -> str:
    output = (await ask(server, *items)).json()["output"]
    return "".join(part["text"] for item in output for part in item.get("content", []))


async def test_all_that_the_model_said_at_once_is_one_answer(model_server: ModelServer) -> None:
    model_server.play("one", Turn("first"), Turn("second"), Turn("third"))
    call = {"type": "custom_tool_call", "call_id": "c", "name": "exec", "input": "x"}
    end = {"type": "custom_tool_call_output", "call_id": "c", "output": "[[scn:trap]]"}
    prompt = user("Do [[scn:one]].")
    assert await said(model_server, prompt) == "first"
    assert await said(model_server, prompt, model("first"), call, end) == "second"
    assert await said(model_server, prompt, {"type": "reasoning"}, model("a"), call, call, end, end) == "second"
    assert await said(model_server, prompt, model("first"), call, end, model("second"), user("go on")) == "third"


async def test_what_the_program_adds_chooses_nothing(model_server: ModelServer) -> None:
    model_server.play("trap", Turn("trapped"))
    model_server.play("task", Turn("task"))
    rules = user("# AGENTS.md instructions for /x\n\n[[scn:trap]]")
    assert await said(model_server, user("[[scn:task]]"), user(CONTEXT), rules) == "task"
    developer = {"type": "message", "role": "developer", "content": [{"type": "input_text", "text": "[[scn:trap]]"}]}
    assert await said(model_server, user("[[scn:task]]"), developer) == "task"


async def test_fields_of_the_prompt_are_filled_in(model_server: ModelServer) -> None:
    model_server.play(When("task", stage="plan"), Turn("", [Read("a b.py"), Write("{out}/p.md", "one\ntwo\n")]))
    answer = await ask(model_server, user(CONTEXT), user("Stage: plan\nOut: /place/out\n\n[[scn:task]]"))
    read, write = (json.loads(item["arguments"])["cmd"] for item in answer.json()["output"])
    assert read == "cat '/place/tree/a b.py'"
    patch = "*** Begin Patch\n*** Add File: /place/out/p.md\n+one\n+two\n*** End Patch"
    assert write == f"apply_patch <<'PATCH'\n{patch}\nPATCH"


async def test_a_model_with_one_tool_is_given_scripts(model_server: ModelServer) -> None:
    model_server.play("task", Turn("", [Edit("/a", "1", "2"), Shell("ls"), Raw("functions/wait", {"cell_id": "1"})]))
    added = {"type": "additional_tools", "role": "developer", "tools": MODERN}
    answer = await ask(model_server, added, user("[[scn:task]]"), tools=None)
    edit, shell, wait = answer.json()["output"]
    assert (edit["type"], edit["namespace"], edit["name"]) == ("custom_tool_call", "functions", "exec")
    assert "*** Update File: /a\\n@@\\n-1\\n+2\\n" in edit["input"]
    assert 'tools.exec_command({"cmd": "ls"' in shell["input"]
    assert (wait["type"], wait["name"], wait["arguments"]) == ("function_call", "wait", '{"cell_id": "1"}')


async def test_a_stream_says_the_same_as_a_whole_answer(model_server: ModelServer) -> None:
    long = "word " * 50
    usage = Tokens(input=10, output=7, cache_read=3, cache_write=2)
    turn = Turn(long, [Shell("ls")], thinking="hm", usage=usage, headers={"x-codex-primary-used-percent": "1"})
    model_server.play("task", turn)
    whole = (await ask(model_server, user("[[scn:task]]"))).json()
    streamed = await ask(model_server, user("[[scn:task]]"), stream=True)
    events = [json.loads(line[6:]) for line in streamed.text.splitlines() if line.startswith("data: ")]
    kinds = ["reasoning", "message", "function_call"]
    assert [e["item"]["type"] for e in events if e["type"] == "response.output_item.done"] == kinds
    assert [item["type"] for item in whole["output"]] == kinds
    assert "".join(e["delta"] for e in events if e["type"] == "response.output_text.delta") == long
    assert events[-1]["type"] == "response.completed"
    told = events[-1]["response"]["usage"]
    assert told == whole["usage"]
    assert (told["input_tokens"], told["input_tokens_details"]["cached_tokens"], told["output_tokens"]) == (15, 3, 7)
    assert streamed.headers["x-codex-primary-used-percent"] == "1"


async def test_an_error_says_what_it_was_told_to(model_server: ModelServer) -> None:
    spent = Error(429, "no more", "usage_limit_reached", {"x-limit": "1"}, details={"resets_at": 5})
    model_server.play("task", Turn("well", error=spent))
    model_server.play("key", Turn("well", error=Error(401, "bad key")))
    answer = await ask(model_server, user("[[scn:task]]"))
    assert answer.status_code == 429
    assert answer.headers["x-limit"] == "1"
    error = answer.json()["error"]
    assert (error["type"], error["message"], error["resets_at"]) == ("usage_limit_reached", "no more", 5)
    assert (await ask(model_server, user("[[scn:key]]"))).json()["error"]["code"] == "invalid_request_error"
    assert await said(model_server, user("[[scn:task]]")) == "well"


async def test_models_are_listed_for_each_in_its_own_way(model_server: ModelServer) -> None:
    async with httpx.AsyncClient(trust_env=False) as client:
        assert (await client.get(f"{model_server.url}/v1/models?client_version=1")).json() == {"models": []}
        assert "has_more" in (await client.get(f"{model_server.url}/v1/models")).json()
