"""The provider `clone`: a workspace is a whole checkout with a git directory of its own, visible on the host.

It works on any file system and with any sandbox, also with none; what it costs is a file for each file.
"""

from heddle.adapters.workspaces.clone.provider import CloneWorkspaces

__all__ = ["CloneWorkspaces"]
