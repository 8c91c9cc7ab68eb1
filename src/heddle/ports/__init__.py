"""What the engine asks of the outside: one Protocol per thing, each with a fake we ship and one contract suite.

Paths: `Repository` speaks of the host's own checkout. `Workspaces` shows no host path at all: what a workspace
calls `tree` and `out` are paths as a process *inside* it sees them, because the next provider has no others.
"""

from heddle.core.snapshot import Snapshot
from heddle.ports.agents import Agent, AgentFound, Conversation, Dispatcher
from heddle.ports.journal import Clock, Fence, Journal, SetAside
from heddle.ports.maps import Foreseen, Mapped, Maps, Words
from heddle.ports.previews import Dial, PreviewServer
from heddle.ports.privates import Entry, PrivateGits
from heddle.ports.processes import (
    STREAM_LIMIT,
    Boxes,
    Chunk,
    Command,
    Exit,
    Held,
    Mount,
    Ran,
    Sandbox,
    Streams,
    View,
)
from heddle.ports.registries import Reach, Registries, reach_of
from heddle.ports.repository import Advanced, Blocked, Change, Conflicted, Merged, MovedOn, Repository, Trio, Unmerged
from heddle.ports.rules import RulesCheckout
from heddle.ports.tools import NoTools, Opening, SessionTools
from heddle.ports.trackers import FORMATS, Exported, ExportFormat, Listed, Trackers
from heddle.ports.workspaces import Caution, Changes, Collected, Removal, Workspace, WorkspaceOrder, Workspaces
from heddle.ports.worktrees import Ownership, Worktrees

__all__ = [
    "FORMATS",
    "STREAM_LIMIT",
    "Advanced",
    "Agent",
    "AgentFound",
    "Blocked",
    "Boxes",
    "Caution",
    "Change",
    "Changes",
    "Chunk",
    "Clock",
    "Collected",
    "Command",
    "Conflicted",
    "Conversation",
    "Dial",
    "Dispatcher",
    "Entry",
    "Exit",
    "ExportFormat",
    "Exported",
    "Fence",
    "Foreseen",
    "Held",
    "Journal",
    "Listed",
    "Mapped",
    "Maps",
    "Merged",
    "Mount",
    "MovedOn",
    "NoTools",
    "Opening",
    "Ownership",
    "PreviewServer",
    "PrivateGits",
    "Ran",
    "Reach",
    "Registries",
    "Removal",
    "Repository",
    "RulesCheckout",
    "Sandbox",
    "SessionTools",
    "SetAside",
    "Snapshot",
    "Streams",
    "Trackers",
    "Trio",
    "Unmerged",
    "View",
    "Words",
    "Workspace",
    "WorkspaceOrder",
    "Workspaces",
    "Worktrees",
    "reach_of",
]
