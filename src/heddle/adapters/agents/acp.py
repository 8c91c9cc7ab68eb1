"""Agents that speak the Agent Client Protocol, version 1: a sans-IO codec, lenient to what it does not know.

The ids of our requests are fixed words and numbers, so that a replayed transcript yields the same messages.
"""

import json
from collections.abc import Mapping
from typing import Any

from heddle.adapters.agents.brands import Brand
from heddle.adapters.agents.version import run_version
from heddle.core.session import (
    Access,
    AgentReady,
    Allow,
    AnswerAsked,
    Answered,
    Brief,
    Capabilities,
    Deny,
    Fact,
    Garbled,
    PermissionAsked,
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
from heddle.ports import Command, Exit

INITIALIZE, NEW_SESSION, SET_MODE, FIRST_PROMPT = 1, 2, 3, 10
KINDS = {"read": "read", "edit": "edit", "delete": "edit", "move": "edit", "search": "search", "execute": "run"}
KINDS |= {"think": "think", "fetch": "fetch", "switch_mode": "other"}
READ_MODES = ("plan", "read-only", "readonly", "ask-read-only")
WRITE_MODES = ("ask", "default", "workspace-write", "acceptEdits", "autoEdit", "build")
STOPS = {"end_turn": TurnOutcome.ENDED, "cancelled": TurnOutcome.INTERRUPTED}


class AcpAgent:
    """The Agent port for any brand that speaks ACP."""

    def __init__(self, brand: Brand, env: Mapping[str, str]) -> None:
        self._brand = brand
        self._env = dict(env)
        self.name = brand.name
        self.capabilities: Capabilities = brand.capabilities

    def command(self, brief: Brief) -> Command:
        """See the port."""
        return Command(brief.session, self._brand.command, "", self._env, stdin="pipe")

    def conversation(self, brief: Brief) -> "AcpConversation":
        """See the port."""
        return AcpConversation(brief)

    async def check(self) -> str:
        """See the port."""
        return await run_version(self._brand, self._env)


class AcpConversation:
    """One session over ACP."""

    def __init__(self, brief: Brief) -> None:
        self._brief = brief
        self._session = ""
        self._text: list[str] = []
        self._open_turn = 0
        self._requests: dict[str, dict[str, Any]] = {}
        self._cost: float | None = None
        self._turn_cost = 0.0
        self._priced = False

    def open(self) -> list[Send]:
        """See the port."""
        params = {"protocolVersion": 1, "clientCapabilities": {}, "clientInfo": {"name": "heddle", "version": "1"}}
        return [_request("initialize", INITIALIZE, "initialize", params)]

    def receive(self, line: bytes) -> list[Fact | Send]:
        """See the port."""
        try:
            message = json.loads(line)
        except ValueError:
            return [Garbled(line[:200].decode(errors="replace"))]
        if not isinstance(message, dict):
            return [Garbled(line[:200].decode(errors="replace"))]
        if "method" in message:
            params = message.get("params")
            params = params if isinstance(params, dict) else {}
            return self._called(message, params)
        return self._answered(message)

    def _called(self, message: dict[str, Any], params: dict[str, Any]) -> list[Fact | Send]:
        match message["method"]:
            case "session/update":
                update = params.get("update")
                return self._updated(update) if isinstance(update, dict) else []
            case "session/request_permission":
                return self._asked(str(message.get("id")), message.get("id"), params)
            case _ if "id" in message:
                error = {"code": -32601, "message": "not offered"}
                return [_send(f"refuse:{message['id']}", {"id": message["id"], "error": error})]
            case _:
                return []

    def _answered(self, message: dict[str, Any]) -> list[Fact | Send]:
        id, error = message.get("id"), message.get("error")
        result = message.get("result")
        result = result if isinstance(result, dict) else {}
        if error is not None:
            return self._failed(id, error)
        if id == INITIALIZE:
            return [self._begin(result)]
        if id == NEW_SESSION:
            return self._begun(result)
        if isinstance(id, int) and id >= FIRST_PROMPT:
            return self._turn_ended(result)
        return []

    def _failed(self, id: object, error: object) -> list[Fact | Send]:
        told = error.get("message", "") if isinstance(error, dict) else str(error)
        if id in (SET_MODE, None):
            return []
        self._open_turn = 0
        return [TurnEnded(TurnOutcome.FAILED, "".join(self._text), str(told)[:2000])]

    def _begin(self, result: dict[str, Any]) -> Send:
        able = result.get("agentCapabilities")
        loads = isinstance(able, dict) and bool(able.get("loadSession"))
        params: dict[str, Any] = {"cwd": self._brief.tree, "mcpServers": []}
        if self._brief.resume and loads:
            self._session = self._brief.resume
            return _request("load-session", NEW_SESSION, "session/load", {"sessionId": self._session, **params})
        return _request("new-session", NEW_SESSION, "session/new", params)

    def _begun(self, result: dict[str, Any]) -> list[Fact | Send]:
        self._session = str(result.get("sessionId") or self._session)
        sends: list[Fact | Send] = [AgentReady(self._session)]
        mode = self._mode(result.get("modes"))
        if mode:
            params = {"sessionId": self._session, "modeId": mode}
            sends.append(_request("mode", SET_MODE, "session/set_mode", params))
        sends.extend(self._prompt(self._brief.prompt, 1))
        return sends

    def _mode(self, modes: object) -> str:
        """The mode to be set explicitly: read-only for the stages that read, one that asks for the others."""
        offered = modes.get("availableModes", []) if isinstance(modes, dict) else []
        ids = [mode.get("id") for mode in offered if isinstance(mode, dict)]
        wanted = READ_MODES if self._brief.access is Access.READ else WRITE_MODES
        return next((mode for mode in wanted if mode in ids), "")

    def prompt(self, text: str, number: int) -> list[Send]:
        """See the port."""
        return self._prompt(text, number)

    def _prompt(self, text: str, number: int) -> list[Send]:
        self._text, self._turn_cost, self._priced = [], 0.0, False
        self._open_turn = number
        params = {"sessionId": self._session, "prompt": [{"type": "text", "text": text}]}
        return [_request(f"prompt:{number}", FIRST_PROMPT + number, "session/prompt", params)]

    def _updated(self, update: dict[str, Any]) -> list[Fact | Send]:
        match update.get("sessionUpdate"):
            case "agent_message_chunk":
                content = update.get("content")
                text = str(content.get("text", "")) if isinstance(content, dict) else ""
                self._text.append(text)
                return [Said(text)] if text else []
            case "tool_call":
                return [ToolCalled(str(update.get("toolCallId")), *_tool(update))]
            case "tool_call_update":
                status = update.get("status")
                if status not in ("completed", "failed"):
                    return []
                return [ToolEnded(str(update.get("toolCallId")), status == "completed")]
            case "usage_update":
                self._spent(update.get("cost"))
                return []
            case _:
                return []

    def _spent(self, cost: object) -> None:
        """The protocol's cost is a running total; a turn's share is the difference."""
        if isinstance(cost, dict) and isinstance(cost.get("amount"), int | float):
            total = float(cost["amount"])
            self._turn_cost += total - (self._cost or 0.0)
            self._cost, self._priced = total, True

    def _asked(self, request: str, id: object, params: dict[str, Any]) -> list[Fact | Send]:
        tool = params.get("toolCall")
        tool = tool if isinstance(tool, dict) else {}
        options = [option for option in params.get("options", []) if isinstance(option, dict)]
        self._requests[request] = {"id": id, "options": options}
        meta = params.get("_meta")
        question = meta.get("heddle") if isinstance(meta, dict) else None
        if isinstance(question, dict):
            names = tuple(str(option.get("name", "")) for option in options)
            return [AnswerAsked(request, str(question.get("question", "")), names, str(question.get("default", "")))]
        kind, title, paths = _tool(tool)
        raw = tool.get("rawInput")
        command = str(raw.get("command", "")) if isinstance(raw, dict) else ""
        return [PermissionAsked(request, kind, title, paths, command)]

    def reply(self, request: str, reply: Reply) -> list[Send]:
        """See the port."""
        asked = self._requests.get(request)
        if asked is None:
            return []
        result: dict[str, Any] = {"outcome": _outcome(asked["options"], reply)}
        if isinstance(reply, Answered):
            result["_meta"] = {"heddle": {"answer": reply.text}}
        return [_send(f"reply:{request}", {"id": asked["id"], "result": result})]

    def _turn_ended(self, result: dict[str, Any]) -> list[Fact | Send]:
        stop = str(result.get("stopReason", ""))
        outcome = STOPS.get(stop, TurnOutcome.FAILED)
        error = "" if outcome is not TurnOutcome.FAILED else f"the agent stopped: {stop or 'no reason'}"
        self._open_turn = 0
        facts: list[Fact | Send] = []
        usage = result.get("usage")
        if isinstance(usage, dict) or self._priced:
            facts.append(UsageReported(_usage(usage, self._turn_cost if self._priced else None)))
        facts.append(TurnEnded(outcome, "".join(self._text), error))
        return facts

    def interrupt(self) -> list[Send]:
        """See the port."""
        params = {"sessionId": self._session}
        return [_send(f"interrupt:{self._open_turn}", {"method": "session/cancel", "params": params})]

    def exited(self, exit: Exit, errors: str) -> list[Fact]:
        """See the port."""
        if not self._open_turn:
            return []
        how = f"signal {exit.signal}" if exit.signal else f"status {exit.code}"
        tail = errors.strip().splitlines()[-1:] or [""]
        return [TurnEnded(TurnOutcome.FAILED, "".join(self._text), f"the agent ended ({how}) {tail[0]}".strip())]


def _tool(tool: dict[str, Any]) -> tuple[str, str, tuple[str, ...]]:
    """(kind, title, paths) of a tool call; a kind that is not known is other."""
    places = tool.get("locations")
    places = places if isinstance(places, list) else []
    paths = [str(place.get("path", "")) for place in places if isinstance(place, dict)]
    for content in tool.get("content") or []:
        if isinstance(content, dict) and content.get("type") == "diff":
            paths.append(str(content.get("path", "")))
    kind = KINDS.get(str(tool.get("kind", "")), "other")
    return kind, str(tool.get("title", "")), tuple(dict.fromkeys(path for path in paths if path))


def _outcome(options: list[dict[str, Any]], reply: Reply) -> dict[str, Any]:
    """The option that says what the reply means; a request without a fitting one is cancelled."""
    match reply:
        case Answered(text):
            chosen = [option for option in options if text in (option.get("name"), option.get("optionId"))] or options
        case Allow():
            chosen = _of_kind(options, "allow_once") or _of_kind(options, "allow_always")
        case Deny():
            chosen = _of_kind(options, "reject_once") or _of_kind(options, "reject_always")
    if not chosen:
        return {"outcome": "cancelled"}
    return {"outcome": "selected", "optionId": chosen[0].get("optionId")}


def _of_kind(options: list[dict[str, Any]], kind: str) -> list[dict[str, Any]]:
    return [option for option in options if option.get("kind") == kind]


def _usage(usage: object, usd: float | None) -> Usage:
    counts = usage if isinstance(usage, dict) else {}

    def count(name: str) -> int:
        value = counts.get(name)
        return value if isinstance(value, int) else 0

    return Usage(
        count("inputTokens"), count("outputTokens"), count("cachedReadTokens"), count("cachedWriteTokens"), usd
    )


def _request(id: str, number: int, method: str, params: dict[str, Any]) -> Send:
    return _send(id, {"id": number, "method": method, "params": params})


def _send(id: str, message: dict[str, Any]) -> Send:
    return Send(id, json.dumps({"jsonrpc": "2.0", **message}).encode() + b"\n")
