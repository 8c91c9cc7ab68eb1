"""May a session make this tool call? Least privilege, told from the call's kind and paths alone."""

from posixpath import normpath

from heddle.core.scope import Scope
from heddle.core.session import OWN, Access, Allow, Deny, PermissionAsked

_HARMLESS = frozenset({"read", "search", "think", "fetch", OWN})


def inside(path: str, tree: str) -> str | None:
    """The path relative to the tree, or None when it leads out. A relative path is one inside the tree."""
    joined = normpath(path if path.startswith("/") else f"{tree}/{path}")
    if joined == tree:
        return "."
    return joined.removeprefix(f"{tree}/") if joined.startswith(f"{tree}/") else None


def permission(asked: PermissionAsked, access: Access, tree: str, out: str, scope: Scope) -> Allow | Deny:
    """Allow or Deny, with the reason that the agent is told."""
    if asked.kind in _HARMLESS:
        return Allow()
    if asked.kind == "edit":
        return _edit(asked, access, tree, out, scope)
    if access is Access.READ:
        return Deny("This stage is read-only: no commands that may change something. Read files instead.")
    return Allow()


def _edit(asked: PermissionAsked, access: Access, tree: str, out: str, scope: Scope) -> Allow | Deny:
    in_tree = [path for path in asked.paths if not path.startswith("/") or inside(path, out) is None]
    if asked.paths and not in_tree:
        return Allow()  # only documents for Heddle
    if access is Access.READ:
        return Deny(f"This stage is read-only. Documents go to {out}.")
    for path in in_tree:
        relative = inside(path, tree)
        if relative is None:
            return Deny(f"'{path}' lies outside the workspace.")
        if scope.declared and not scope.covers(relative):
            return Deny(f"'{relative}' lies outside the approved scope: {', '.join(scope.globs)}.")
    return Allow()
