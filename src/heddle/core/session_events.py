"""The facts of sessions, and of the notes between them; see heddle.core.events."""

from dataclasses import dataclass

from heddle.core.claim import PathClaim
from heddle.core.notes import Given, Note
from heddle.core.radar import Drift, Told
from heddle.core.session import TurnOutcome, Usage

# --------------------------------------------------------------------------------- stream session:<id>


@dataclass(frozen=True, slots=True)
class AgentAnswered:
    """The agent is up; `agent_session` is the vendor's id of the conversation, needed to resume it."""

    offset: int
    agent_session: str
    model: str
    version: str


@dataclass(frozen=True, slots=True)
class ToolUsed:
    """The agent began a tool call."""

    offset: int
    kind: str
    title: str
    paths: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class PermissionDecided:
    """A request of the agent was answered."""

    offset: int
    request: str
    title: str
    allowed: bool
    why: str


@dataclass(frozen=True, slots=True)
class UsageRecorded:
    """What a turn used, as a delta."""

    offset: int
    usage: Usage


@dataclass(frozen=True, slots=True)
class ContextRecorded:
    """How many tokens the agent's context holds, of how many it can; told again when that is another tenth."""

    offset: int
    used: int
    most: int


@dataclass(frozen=True, slots=True)
class RulesLoaded:
    """The agent said that it loaded a file of rules; a path in the repository is told from its top. `reason`: the agent's
    own word, `cause`: the file that led it there.
    """

    offset: int
    path: str
    reason: str
    cause: str


@dataclass(frozen=True, slots=True)
class LimitRecorded:
    """The vendor signalled a limit."""

    offset: int
    kind: str
    detail: str
    resets_at: float | None


@dataclass(frozen=True, slots=True)
class TurnRecorded:
    """A turn ended."""

    offset: int
    outcome: TurnOutcome
    error: str


@dataclass(frozen=True, slots=True)
class SessionEnded:
    """The agent's process is gone and nothing of it is left."""

    code: int | None
    signal: int | None
    why: str


# ------------------------------------------------------- stream task:<id>, from what a session asked by its tools


@dataclass(frozen=True, slots=True)
class AnswersGiven:
    """A session is given the answers to these questions, in the message that follows its turn of that number (-1: by its
    tools); decided before they are sent.
    """

    session: str
    turn: int
    questions: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ProgressReported:
    """A session says how far it has come, in a line."""

    session: str
    text: str


# ------------------------------------------------------------------------------- stream task:<id>


@dataclass(frozen=True, slots=True)
class RulesGiven:
    """A session is told how the repository's rules on `commit` differ from those it knew, in the message that follows its
    turn of that number (0: its first message); decided before it is sent.
    """

    session: str
    turn: int
    commit: str


@dataclass(frozen=True, slots=True)
class DriftGiven:
    """A session is told how main, at `commit`, has these files otherwise than it knew them, in the message that follows its
    turn of that number; decided before it is sent.
    """

    session: str
    turn: int
    commit: str
    paths: tuple[str, ...]


# ------------------------------------------------------------------------------ stream notes:<repository>


@dataclass(frozen=True, slots=True)
class NoteWritten:
    """A session, or a person, left a fact for others."""

    note: Note


@dataclass(frozen=True, slots=True)
class NotesGiven:
    """A session is given notes, in the message that follows its turn of that number (0: its first message; -1: its tools);
    decided before they are sent, so that a restart sends the same ones and none twice.
    """

    given: Given


# ----------------------------------------------------------------------------- stream claims:<repository>


@dataclass(frozen=True, slots=True)
class PathsClaimed:
    """A session claims these paths, instead of what it claimed before."""

    claim: PathClaim


# ------------------------------------------------------------------------------ stream radar:<repository>


@dataclass(frozen=True, slots=True)
class RadarFound:
    """Two lines of work, or one and main, are now this far apart, or meet elsewhere than before."""

    drift: Drift


@dataclass(frozen=True, slots=True)
class RadarTold:
    """A session is told of drift, in the message that follows its turn of that number; decided before it is sent, so that a
    restart sends the same words, and nobody hears of the same pair at the same level twice.
    """

    told: Told
