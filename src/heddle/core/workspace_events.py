"""The facts of workspaces, in the streams of their tasks; see heddle.core.events."""

from dataclasses import dataclass

from heddle.core.task import Stage


@dataclass(frozen=True, slots=True)
class WorkspaceRemoved:
    """A workspace went to the trash; `recovery` names the ref that keeps its unlanded work."""

    workspace: str
    recovery: str


@dataclass(frozen=True, slots=True)
class WorkspaceKept:
    """A workspace was not removed because of a doubt; it stays on disk."""

    workspace: str
    why: str


@dataclass(frozen=True, slots=True)
class TearDownFailed:
    """A command that was to undo what set-up made outside of a workspace failed; `output` is the end of what it said."""

    workspace: str
    detail: str
    output: str


@dataclass(frozen=True, slots=True)
class WorkspaceEntered:
    """A person went into a workspace, to run `command` there; empty for a shell. `visit` names their stay."""

    visit: str
    workspace: str
    stage: Stage
    command: str


@dataclass(frozen=True, slots=True)
class WorkspaceLeft:
    """The person left the workspace, and nothing of their visit is left there. `why`: see ports.Exit."""

    visit: str
    workspace: str
    code: int | None
    signal: int | None
    why: str
