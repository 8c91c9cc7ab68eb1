"""Workspaces with a git directory of their own, whatever their tree is made of: how they are made, read and removed.

The host runs no git on what a session may have written: it asks git inside (`Boxes`) and fetches objects.
"""

from heddle.adapters.workspaces.private.layout import Layout
from heddle.adapters.workspaces.private.provider import PrivateWorkspaces
from heddle.adapters.workspaces.private.workspace import PrivateWorkspace

__all__ = ["Layout", "PrivateWorkspace", "PrivateWorkspaces"]
