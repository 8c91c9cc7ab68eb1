"""What a scenario is made of, and which one a request asks for."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

MARKER = re.compile(r"\[\[scn:([\w.-]+)\]\]")
FIELD = re.compile(r"^(\w+): (\S.*)$", re.MULTILINE)
NEVER = "never"
"""The name of a gate that stays closed."""


@dataclass(frozen=True, slots=True)
class Read:
    """Read a file."""

    path: str


@dataclass(frozen=True, slots=True)
class Edit:
    """Replace a text in a file; most agents want the file to be read before."""

    path: str
    old: str
    new: str


@dataclass(frozen=True, slots=True)
class Write:
    """Write a whole file."""

    path: str
    content: str


@dataclass(frozen=True, slots=True)
class Shell:
    """Run a command line."""

    command: str


@dataclass(frozen=True, slots=True)
class Raw:
    """Call an agent's own tool by name; with `text` when it takes no named arguments."""

    name: str
    args: Mapping[str, Any] = field(default_factory=dict)
    text: str | None = None


@dataclass(frozen=True, slots=True)
class Served:
    """Call a tool that Heddle serves the session."""

    name: str
    args: Mapping[str, Any] = field(default_factory=dict)


Op: TypeAlias = Read | Edit | Write | Shell | Served | Raw


@dataclass(frozen=True, slots=True)
class Tokens:
    """The usage that a turn reports."""

    input: int = 1000
    output: int = 50
    cache_read: int = 400
    cache_write: int = 100


@dataclass(frozen=True, slots=True)
class Error:
    """A failed request. The first `times` requests for the turn fail (0: all of them), per agent session.

    `details`: what the error says besides, where the vendor's errors have more than a type and a message.
    """

    status: int = 500
    message: str = "scripted error"
    type: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)
    times: int = 1
    drop: bool = False
    details: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Turn:
    """One answer of the model: a text, then tool calls; see the package for gates and faults."""

    text: str = ""
    calls: Sequence[Op] = ()
    thinking: str = ""
    usage: Tokens = Tokens()
    stop: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)
    error: Error | None = None
    delay_s: float = 0.0
    gate: str = ""
    gate_end: str = ""


@dataclass(frozen=True, slots=True)
class When:
    """Conditions on one message of the person; all must hold."""

    marker: str = ""
    stage: str = ""
    attempt: int = 0
    patterns: tuple[str, ...] = ()

    def holds(self, prompt: str) -> bool:
        """Whether the prompt meets every condition."""
        if self.marker and self.marker not in MARKER.findall(prompt):
            return False
        lines = [f"^Stage: {re.escape(self.stage)}$"] if self.stage else []
        lines += [f"^Attempt: {self.attempt}$"] if self.attempt else []
        return all(re.search(pattern, prompt, re.MULTILINE) for pattern in (*lines, *self.patterns))

    def weight(self) -> int:
        """How many conditions there are."""
        return bool(self.marker) + bool(self.stage) + bool(self.attempt) + len(self.patterns)

    def __str__(self) -> str:
        parts = [self.marker, self.stage, str(self.attempt or ""), *self.patterns]
        return "/".join(part for part in parts if part) or "any"


@dataclass(frozen=True, slots=True)
class Scenario:
    """The turns for the prompts that `when` describes. Past the last turn the model says that it is done."""

    when: When
    turns: tuple[Turn, ...]

    def turn(self, index: int) -> Turn:
        """The turn at `index`."""
        return self.turns[index] if index < len(self.turns) else Turn("Done: the script has ended.")


@dataclass(frozen=True, slots=True)
class Message:
    """One message of a conversation; tool results count as silence."""

    role: str
    text: str


@dataclass(frozen=True, slots=True)
class Cue:
    """Where a conversation stands: the scenario, the next turn, the fields of the prompt that chose it."""

    scenario: Scenario
    index: int
    fields: Mapping[str, str]


def cue(scenarios: Sequence[Scenario], messages: Sequence[Message]) -> Cue | None:
    """The cue of a conversation; None when no prompt in it is scripted."""
    for at in range(len(messages) - 1, -1, -1):
        if messages[at].role != "user":
            continue
        fitting = [scenario for scenario in scenarios if scenario.when.holds(messages[at].text)]
        if fitting:
            best = max(fitting, key=lambda s: (s.when.weight(), scenarios.index(s)))
            index = sum(message.role == "assistant" for message in messages[at:])
            fields = {name.lower(): value.strip() for name, value in FIELD.findall(messages[at].text)}
            return Cue(best, index, fields)
    return None
