"""The provider `instant`: a workspace is a layer over an immutable base tree, with a git directory of its own.

Making one costs a few small files, whatever the repository's size; it needs a sandbox that mounts (`Boxes`).
"""

from heddle.adapters.workspaces.instant.provider import InstantWorkspaces

__all__ = ["InstantWorkspaces"]
