"""The agent's end of the Agent Client Protocol, version 1, over standard input and output."""

import json
import sys
import threading
from pathlib import Path
from queue import Queue
from typing import Any

from heddle.rehearsal.player import Cancelled, Player
from heddle.rehearsal.script import Prompt, Scene, steps_for

MODES = [
    {"id": "ask", "name": "Ask before edits"},
    {"id": "plan", "name": "Read only"},
    {"id": "auto", "name": "Never ask"},
]

LEAVE_S = 2.0
"""How long a cancelled turn may take to end when the client has left."""


class Server:
    """One process, one session at a time: requests are read on one thread, a turn is played on another."""

    def __init__(self, scenes: list[Scene]) -> None:
        self.scenes = scenes
        self.session = ""
        self.cwd = Path()
        self.mode = "ask"
        self.turn = 0
        self.player: Player | None = None
        self._cost = 0.0
        self._usage = (0, 0)
        self._next = 0
        self._answers: dict[int, Queue[dict[str, Any]]] = {}
        self._writing = threading.Lock()
        self._playing: threading.Thread | None = None

    def serve(self) -> None:
        """Until the client closes our input; a turn that is played then is cancelled."""
        for line in sys.stdin.buffer:
            self._receive(line)
        self._cancel()
        if self._playing is not None:
            self._playing.join(LEAVE_S)

    def _receive(self, line: bytes) -> None:
        try:
            message = json.loads(line)
        except (ValueError, RecursionError):
            return self._error(None, -32700, "not JSON")
        if not isinstance(message, dict):
            return self._error(None, -32600, "not a message")
        id = message.get("id")
        if "method" not in message:
            answers = self._answers.get(id) if isinstance(id, int) else None
            return answers.put(message) if answers is not None else None
        try:
            self._obey(id, message["method"], message.get("params") or {})
        except (KeyError, TypeError, AttributeError) as error:
            self._error(id, -32602, f"invalid parameters: {error}")

    def _obey(self, id: object, method: str, params: dict[str, Any]) -> None:
        match method:
            case "initialize":
                capabilities = {"loadSession": True, "promptCapabilities": {}}
                self._result(id, {"protocolVersion": 1, "agentCapabilities": capabilities, "authMethods": []})
            case "session/new" | "session/load":
                self.cwd = Path(params["cwd"])
                self.session = params.get("sessionId") or f"rehearsal-{self.cwd.parent.name or 'session'}"
                result: dict[str, Any] = {"modes": {"currentModeId": self.mode, "availableModes": MODES}}
                if method == "session/new":
                    result["sessionId"] = self.session
                self._result(id, result)
            case "session/set_mode":
                if params["modeId"] not in [mode["id"] for mode in MODES]:
                    return self._error(id, -32602, f"no mode {params['modeId']}")
                self.mode = params["modeId"]
                self._result(id, {})
            case "session/prompt":
                prompt = Prompt("\n".join(block.get("text", "") for block in params["prompt"]))
                self.turn += 1
                self._usage = (0, 0)
                # Made here, on the thread that reads: a cancel that comes at once must find it.
                self.player = Player(self, self.cwd, prompt, self.mode)
                self._playing = threading.Thread(target=self._play, args=(id, self.player), daemon=True)
                self._playing.start()
            case "session/cancel":
                self._cancel()
            case other:
                if id is not None:
                    self._error(id, -32601, f"no method {other}")

    def _cancel(self) -> None:
        if self.player is not None:
            self.player.cancel()
        for answers in list(self._answers.values()):
            answers.put({})

    def _play(self, id: object, player: Player) -> None:
        stop = "end_turn"
        try:
            player.play(steps_for(player.prompt, self.scenes))
        except Cancelled:
            stop = "cancelled"
        except Exception as error:
            return self._error(id, -32603, str(error))
        used, made = self._usage
        usage = {"inputTokens": used, "outputTokens": made, "totalTokens": used + made}
        self._result(id, {"stopReason": stop, "usage": usage})

    def say(self, text: str) -> None:
        """A piece of the agent's message."""
        self._update({"sessionUpdate": "agent_message_chunk", "content": {"type": "text", "text": text}})

    def tool(self, call: str, kind: str, title: str, paths: list[str]) -> None:
        """A tool call begins."""
        locations = [{"path": path} for path in paths]
        self._update(
            {
                "sessionUpdate": "tool_call",
                "toolCallId": call,
                "title": title,
                "kind": kind,
                "status": "in_progress",
                "locations": locations,
            }
        )

    def tool_ended(self, call: str, ok: bool, output: str) -> None:
        """A tool call ended."""
        content = [{"type": "content", "content": {"type": "text", "text": output}}]
        status = "completed" if ok else "failed"
        self._update({"sessionUpdate": "tool_call_update", "toolCallId": call, "status": status, "content": content})

    def use(self, used: int, made: int, usd: float) -> None:
        """Spend of this turn; the cost is reported as the protocol has it, as a running total."""
        self._usage = (self._usage[0] + used, self._usage[1] + made)
        self._cost += usd
        cost = {"amount": self._cost, "currency": "USD"}
        self._update({"sessionUpdate": "usage_update", "used": sum(self._usage), "size": 200_000, "cost": cost})

    def permit(self, call: str, kind: str, title: str, paths: list[str], cancelled: threading.Event) -> bool:
        """Ask the client whether a tool call may be made."""
        options = [
            {"optionId": "allow", "name": "Allow", "kind": "allow_once"},
            {"optionId": "reject", "name": "Reject", "kind": "reject_once"},
        ]
        locations = [{"path": path} for path in paths]
        tool: dict[str, Any] = {"toolCallId": call, "title": title, "kind": kind, "locations": locations}
        if kind == "execute":
            tool["rawInput"] = {"command": title}
        return self._request({"toolCall": tool, "options": options}, cancelled) == "allow"

    def ask(self, text: str, options: list[str], default: str, cancelled: threading.Event) -> str:
        """Ask the person a question; ACP version 1 has permissions alone, so the options are the answers."""
        offered = [{"optionId": option, "name": option, "kind": "allow_once"} for option in options]
        self._next += 1
        tool = {"toolCallId": f"ask-{self.turn}-{self._next}", "title": text, "kind": "other"}
        meta = {"heddle": {"question": text, "default": default}}
        return self._request({"toolCall": tool, "options": offered, "_meta": meta}, cancelled)

    def _request(self, params: dict[str, Any], cancelled: threading.Event) -> str:
        self._next += 1
        id, answers = 1000 + self._next, Queue[dict[str, Any]]()
        self._answers[id] = answers
        if cancelled.is_set():
            answers.put({})
        self._write({"id": id, "method": "session/request_permission", "params": {"sessionId": self.session, **params}})
        result = answers.get().get("result") or {}
        del self._answers[id]
        meta = result.get("_meta") or {}
        chosen = (result.get("outcome") or {}).get("optionId", "cancelled")
        return str((meta.get("heddle") or {}).get("answer") or chosen)

    def _update(self, update: dict[str, Any]) -> None:
        self._write({"method": "session/update", "params": {"sessionId": self.session, "update": update}})

    def _result(self, id: object, result: dict[str, Any]) -> None:
        self._write({"id": id, "result": result})

    def _error(self, id: object, code: int, message: str) -> None:
        self._write({"id": id, "error": {"code": code, "message": message}})

    def _write(self, message: dict[str, Any]) -> None:
        with self._writing:
            sys.stdout.write(json.dumps({"jsonrpc": "2.0", **message}) + "\n")
            sys.stdout.flush()
