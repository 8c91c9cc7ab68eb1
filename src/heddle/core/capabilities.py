"""What an agent can do through its adapter, and what that means for the person."""

from dataclasses import dataclass, fields


@dataclass(frozen=True, slots=True)
class Capabilities:
    """What an agent offers and its adapter speaks; what is missing degrades visibly (see WITHOUT)."""

    resume: bool = False
    fork: bool = False
    plan_mode: bool = False
    ask: bool = False
    usage: bool = False
    cost: bool = False
    budget: bool = False
    limits: bool = False
    hooks: bool = False
    mcp: bool = False
    structured_output: bool = False
    interrupt: bool = False
    terminal: bool = False

    def can(self, name: str) -> bool:
        """Whether it has the capability of that name."""
        return bool(getattr(self, name))

    def missing(self, needed: tuple[str, ...]) -> tuple[str, ...]:
        """Those of `needed` that it does not have."""
        return tuple(name for name in needed if not self.can(name))


NAMES = tuple(field.name for field in fields(Capabilities))

MEANS = {
    "resume": "a session that is lost goes on in the same conversation",
    "fork": "a conversation can be branched",
    "plan_mode": "it refuses to write by itself while it researches and plans",
    "ask": "it can ask you while it works, and waits for the answer",
    "usage": "it tells the tokens of a turn",
    "cost": "it tells the money of a turn",
    "budget": "it ends a turn by itself once a sum is spent",
    "limits": "it signals its vendor's limits as such",
    "hooks": "Heddle hears of its steps through its hooks",
    "mcp": "it uses the tools that Heddle serves its sessions",
    "structured_output": "it can answer in a given schema",
    "interrupt": "a turn can be ended without ending the session",
    "terminal": "you can take its conversation over on its own screen",
}

WITHOUT = {
    "resume": "a session that is lost begins its attempt anew, and one that waits for you keeps its process",
    "fork": "every session begins with the handoff alone",
    "plan_mode": "the sandbox alone keeps research and plan from writing; in tier 0 what they write is thrown away",
    "ask": "it asks through Heddle's tools where it uses those, else it says what it assumed",
    "usage": "its tokens are unknown, and shown so",
    "cost": "its money is unknown, and shown so",
    "budget": "a turn is not cut short for what it costs",
    "limits": "a limit of its vendor looks like a turn that failed",
    "hooks": "Heddle goes by its stream and by the sandbox",
    "mcp": "it has its own tools only",
    "structured_output": "it hands in documents as files or as its last message",
    "interrupt": "a turn is ended by ending the session",
    "terminal": "you can work beside it in its workspace, with a shell",
}
