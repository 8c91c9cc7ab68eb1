"""What a session says and does, in words that no vendor's protocol leaks into.

An agent adapter turns the agent's stream into these facts; the engine reads facts only.
"""

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Literal, TypeAlias


class Access(StrEnum):
    """What a session may do to its workspace."""

    READ = "read"
    WRITE = "write"


class TurnOutcome(StrEnum):
    """How one turn ended. `ENDED` says only that the agent stopped by itself, not that its claims hold."""

    ENDED = "ended"
    INTERRUPTED = "interrupted"
    LIMITED = "limited"
    FAILED = "failed"


class LimitKind(StrEnum):
    """Which limit a vendor signalled, told from structured signals only."""

    THROTTLE = "throttle"
    QUOTA = "quota"
    BILLING = "billing"
    OUTAGE = "outage"
    AUTHENTICATION = "authentication"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Usage:
    """Spend of one turn: tokens as deltas, never running totals. `usd` is None when the price is unknown."""

    input_tokens: int = 0
    output_tokens: int = 0
    cache_read_tokens: int = 0
    cache_write_tokens: int = 0
    usd: float | None = None
    source: Literal["reported", "computed", "list-price"] = "reported"

    def plus(self, other: "Usage") -> "Usage":
        """The sum; an unknown price makes the sum unknown, never smaller."""
        usd = None if self.usd is None or other.usd is None else self.usd + other.usd
        return Usage(
            self.input_tokens + other.input_tokens,
            self.output_tokens + other.output_tokens,
            self.cache_read_tokens + other.cache_read_tokens,
            self.cache_write_tokens + other.cache_write_tokens,
            usd,
            self.source if self.source == other.source else "computed",
        )


@dataclass(frozen=True, slots=True)
class AgentReady:
    """The agent answered; `agent_session` is the id under which it can resume the conversation."""

    agent_session: str
    model: str = ""
    version: str = ""


@dataclass(frozen=True, slots=True)
class Said:
    """Text of the agent, for people to read; it drives nothing."""

    text: str


@dataclass(frozen=True, slots=True)
class ToolCalled:
    """The agent began a tool call. `kind` is read, edit, run, search, fetch, think, own or other."""

    call: str
    kind: str
    title: str
    paths: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ToolEnded:
    """A tool call ended."""

    call: str
    ok: bool
    detail: str = ""


@dataclass(frozen=True, slots=True)
class PermissionAsked:
    """The agent asks whether it may make a tool call; it waits until `request` is answered."""

    request: str
    kind: str
    title: str
    paths: tuple[str, ...] = ()
    command: str = ""


@dataclass(frozen=True, slots=True)
class AnswerAsked:
    """The agent asks the person a question; it waits until `request` is answered with one of `options` or text."""

    request: str
    text: str
    options: tuple[str, ...] = ()
    default: str = ""


@dataclass(frozen=True, slots=True)
class Withdrawn:
    """The agent waits for the answer to this request no more."""

    request: str


@dataclass(frozen=True, slots=True)
class Progressed:
    """The agent came further in a way that nobody needs to know more of: it thinks, or a command of its says something."""


@dataclass(frozen=True, slots=True)
class DocumentOffered:
    """The agent handed in a document through a tool call (for instance its plan) instead of a file."""

    text: str
    request: str = ""


@dataclass(frozen=True, slots=True)
class UsageReported:
    """What the last turn used, as a delta."""

    usage: Usage


@dataclass(frozen=True, slots=True)
class ContextSeen:
    """How many tokens the agent's context holds now, and how many it can."""

    used: int
    most: int


@dataclass(frozen=True, slots=True)
class RulesSeen:
    """The agent says that it loaded a file of rules: `reason` in its own word ("" for none), `cause` the file that led it
    there, if one did.
    """

    path: str
    reason: str = ""
    cause: str = ""


@dataclass(frozen=True, slots=True)
class LimitSeen:
    """The vendor signalled a limit; `resets_at` in Unix seconds when it said so."""

    kind: LimitKind
    detail: str
    resets_at: float | None = None
    retrying: bool = False


@dataclass(frozen=True, slots=True)
class Denied:
    """A tool call was refused by permissions."""

    call: str
    title: str


@dataclass(frozen=True, slots=True)
class TurnEnded:
    """The turn is over. `text` is the agent's last message, `error` the vendor's words when it failed."""

    outcome: TurnOutcome
    text: str = ""
    error: str = ""


@dataclass(frozen=True, slots=True)
class Garbled:
    """Something that is not the protocol; `sample` is its start. Kept, counted, never trusted."""

    sample: str


Fact: TypeAlias = (
    AgentReady
    | Said
    | ToolCalled
    | ToolEnded
    | PermissionAsked
    | AnswerAsked
    | Withdrawn
    | Progressed
    | DocumentOffered
    | UsageReported
    | ContextSeen
    | RulesSeen
    | LimitSeen
    | Denied
    | TurnEnded
    | Garbled
)


@dataclass(frozen=True, slots=True)
class Send:
    """Bytes for the agent's input. `id` is the same for the same message in every replay: the holder takes it once."""

    id: str
    data: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class Allow:
    """Permission granted."""


@dataclass(frozen=True, slots=True)
class Deny:
    """Permission refused; `why` is told to the agent."""

    why: str


@dataclass(frozen=True, slots=True)
class Answered:
    """The person's (or a delegation's) answer to a question."""

    text: str


Reply: TypeAlias = Allow | Deny | Answered


TOOLS = "heddle-tools.invalid"
"""Stands for the host and the port of a session's tools wherever they are named before the session runs."""

TOOLS_SERVER = "heddle"
"""The name under which an agent's program knows them."""

OWN = "own"
"""The kind of a call of one of them: it changes nothing but Heddle's records, and who may call it is Heddle's to say."""

TOOLS_URL = "HEDDLE_TOOLS_URL"
TOOLS_TOKEN = "HEDDLE_TOOLS_TOKEN"  # noqa: S105 - the name of a variable

PRIVATE_HOME = "private-home"
"""The option that says: HOME is the session's own, and nothing of the person's is lost by writing there."""


def rules_told(session: str) -> str:
    """The document in which an agent leaves what it tells of the rules that it loads, when it can do so nowhere else."""
    return f"rules-{session}.jsonl"


@dataclass(frozen=True, slots=True)
class Brief:
    """All that an agent is started with. Paths are as seen from inside the workspace.

    With `tools` Heddle serves it some over MCP: at the address in TOOLS_URL, to who names the token in TOOLS_TOKEN, which
    are variables of its environment.
    """

    session: str
    prompt: str
    access: Access
    tree: str
    out: str
    model: str = ""
    resume: str = ""
    options: tuple[tuple[str, str], ...] = ()
    tools: bool = False
