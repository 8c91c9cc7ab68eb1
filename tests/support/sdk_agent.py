"""An agent made with the official SDK, the reference peer of our ACP codec. What it does is named in the prompt."""

import asyncio
from pathlib import Path
from typing import Any

import acp
from acp.schema import (
    AgentCapabilities,
    Cost,
    ElicitationFormSessionMode,
    ElicitationSchema,
    PermissionOption,
    SessionMode,
    SessionModeState,
    ToolCallUpdate,
    Usage,
)
from acp.schema import UsageUpdate as Spent

MODES = [SessionMode(id=id, name=id) for id in ("auto", "default", "plan")]
ONCE = [PermissionOption(option_id=f"{id}-1", name=id, kind=f"{id}_once") for id in ("reject", "allow")]
ALWAYS = [PermissionOption(option_id=f"{id}-2", name=f"Always {id}", kind=f"{id}_always") for id in ("allow", "reject")]


class ReferenceAgent(acp.Agent):
    """Edits a file when it may, fails, or waits for a permission until it is cancelled."""

    client: acp.Client
    mode = "auto"
    usd = 0.0

    def on_connect(self, conn: acp.Client) -> None:
        self.client = conn

    async def initialize(self, protocol_version: int, **_: Any) -> acp.InitializeResponse:
        able = AgentCapabilities(load_session=True)
        return acp.InitializeResponse(protocol_version=protocol_version, agent_capabilities=able)

    async def new_session(self, cwd: str, **_: Any) -> acp.NewSessionResponse:
        modes = SessionModeState(current_mode_id=self.mode, available_modes=MODES)
        self.tree, self.session = Path(cwd), "reference-1"
        return acp.NewSessionResponse(session_id=self.session, modes=modes)

    async def load_session(self, cwd: str, session_id: str, **_: Any) -> acp.LoadSessionResponse:
        self.tree, self.session = Path(cwd), session_id
        await self.tell(acp.update_user_message_text("long ago"), acp.update_agent_message_text("an old answer"))
        await self.tell(acp.start_edit_tool_call("old", "Edit", "old.txt", "x"))
        return acp.LoadSessionResponse(modes=SessionModeState(current_mode_id=self.mode, available_modes=MODES))

    async def set_session_mode(self, session_id: str, mode_id: str, **_: Any) -> None:
        await asyncio.to_thread(self.tree.stat)  # as real agents do, it switches a moment later
        self.mode = mode_id

    async def cancel(self, session_id: str, **_: Any) -> None:
        await self.tell(acp.update_agent_message_text("I was cancelled."))

    async def prompt(self, session_id: str, prompt: list[Any], **_: Any) -> acp.PromptResponse:
        await self.tell(acp.update_agent_message_text(f"In mode {self.mode}."))
        if "fail" in prompt[0].text:
            raise RuntimeError("the model is on fire")
        if "Please ask" in prompt[0].text:
            answer = await self.client.create_elicitation("About the paint", self.form(session_id))
            given = getattr(answer, "content", None)
            await self.tell(acp.update_agent_message_text(f"{answer.action} {given}"))
            return acp.PromptResponse(stop_reason="end_turn")
        path = str(self.tree / "made.txt")
        await self.tell(acp.start_edit_tool_call("call-1", "Write made.txt", path, "hello\n"))
        asked = await self.client.request_permission(session_id, ToolCallUpdate(tool_call_id="call-1"), ALWAYS + ONCE)
        if asked.outcome.outcome == "cancelled":
            return acp.PromptResponse(stop_reason="cancelled")
        allowed = asked.outcome.option_id == "allow-1"
        if allowed:
            Path(path).write_text("hello\n")
        self.usd += 0.25
        await self.tell(acp.update_tool_call("call-1", status="completed" if allowed else "failed"))
        cost = Cost(amount=self.usd, currency="USD")
        await self.tell(Spent(session_update="usage_update", used=12, size=1000, cost=cost))
        await self.tell(acp.update_agent_message_text("All "), acp.update_agent_message_text("done."))
        used = Usage(input_tokens=10, output_tokens=2, cached_read_tokens=5, total_tokens=17)
        return acp.PromptResponse(stop_reason="end_turn", usage=used)

    @staticmethod
    def form(session: str) -> ElicitationFormSessionMode:
        """Three questions of three types."""
        properties = {
            "colour": {
                "type": "string",
                "title": "Which colour?",
                "oneOf": [{"const": "r", "title": "Red"}, {"const": "b", "title": "Blue"}],
            },
            "coats": {"type": "integer", "description": "How many coats?", "default": 2},
            "gloss": {"type": "boolean", "title": "Glossy?", "default": False},
        }
        return ElicitationFormSessionMode(
            session_id=session, requested_schema=ElicitationSchema.model_validate({"properties": properties})
        )

    async def tell(self, *updates: Any) -> None:
        for update in updates:
            await self.client.session_update(self.session, update)


if __name__ == "__main__":
    asyncio.run(acp.run_agent(ReferenceAgent()))
