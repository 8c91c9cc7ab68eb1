"""Tier 1 on macOS: a session that may touch only what its view names, by a profile of the system's own sandbox.

Nobody has tried it on a Mac yet: see docs/how-to.md. Paths are named as the kernel knows them; one that is written with
other letters than the disk has (a Mac does not mind) is not reached.
"""

import asyncio
import os
import sys
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from heddle.adapters.sandbox import policy
from heddle.adapters.sandbox.confined import Confined, unavailable, why_not_there
from heddle.adapters.sandbox.holders import require_in_place
from heddle.holder import seatbelt
from heddle.ports import View

SYSTEM = (
    *("/bin", "/sbin", "/usr", "/opt", "/System/Library", "/System/Cryptexes", "/System/Volumes/Preboot/Cryptexes"),
    *("/Library/Apple", "/Library/Developer", "/Library/Frameworks", "/Library/Java", "/Applications/Xcode.app"),
    *("/private/etc", "/private/var/select", "/private/var/db/timezone", "/private/var/db/xcode_select_link"),
)
"""Never all of /System: /System/Volumes/Data is the disk with everybody's files once more."""

LINKS = ("/etc", policy.TMP, "/var")
DEVICES = ("null", "zero", "random", "urandom", "tty")
HIDDEN = (
    *(f"/private{path}" for path in policy.HIDDEN),
    *("/private/etc/master.passwd", "/opt/homebrew/var", "/usr/local/var"),
)
"""Secrets of the system, and where Homebrew has the databases of the person's services."""


ANY_PORT = 1
KEPT = "kept to it"
TRIAL = f"""
import os, sys
inside, outside = sys.argv[1:]
open(os.path.join(inside, "file"), "w").close()
for name, way in (("read", os.O_RDONLY), ("written", os.O_WRONLY)):
    try:
        os.close(os.open(outside, way))
    except PermissionError:
        continue
    sys.exit(print("a file outside could be", name))
print("{KEPT}")
"""
"""What a process says that a profile is tried on."""


class Seatbelt(Confined):
    """See Confined. Each process is started by sandbox-exec with a profile of its own."""

    def _plan(self, view: View, *, network: bool = False) -> dict[str, Any]:
        """See Confined."""
        require_in_place(view)
        why = why_not_there(view) or ("" if os.path.exists(seatbelt.SANDBOX_EXEC) else f"no {seatbelt.SANDBOX_EXEC}")
        if why:
            raise unavailable(view.key, why)
        shown = self.shown()
        tools = (*policy.tools(self.environment, shown), *shown.files)
        found = rules(_real(view), tools, os.path.realpath)
        try:
            seatbelt.profile(found)
        except ValueError as error:
            raise unavailable(view.key, str(error)) from error
        return {"rules": found, "limits": policy.LIMITS, "seatbelt": True}


def rules(view: View, tools: Iterable[str], real: Callable[[str], str] = str) -> list[tuple[str, str]]:
    """What a session sees, kind and path: see heddle.holder.seatbelt. `real` tells where a tool that has links on its way
    really is: there it is named, and the links may be followed.

    What may only be read and lies where the session may write is pinned there.
    """
    outermost = _outermost(view)
    given = [mount.source for mount in view.mounts if mount.kind == "read"]
    pinned = [path for path in given if _root_of(path, outermost)]
    wanted = [path for path in (*tools, *given) if not _root_of(path, outermost)]
    return [
        *(("read", path) for path in dict.fromkeys((*SYSTEM, *map(real, wanted)))),
        *(("hidden", path) for path in HIDDEN),
        *(("device", f"/dev/{name}") for name in DEVICES),
        *(("link", path) for path in (*LINKS, *(path for path in wanted if real(path) != path))),
        *(("write", path) for path in outermost),
        *(("pinned", path) for path in pinned),
    ]


async def try_profile(folder: Path, environment: Mapping[str, str]) -> str:
    """Why a session cannot be enclosed by a profile on this machine; "" when one really was."""
    if not os.path.exists(seatbelt.SANDBOX_EXEC):
        return f"there is no {seatbelt.SANDBOX_EXEC} here"
    place = Path(os.path.realpath(folder))
    inside, outside, file = place / "inside", place / "outside", place / "profile.sb"
    inside.mkdir(mode=0o700, parents=True, exist_ok=True)
    outside.write_text("not to be read")
    try:
        named = rules(View("trial", (), str(inside), ""), policy.tools(environment), os.path.realpath)
        text = seatbelt.profile(named, connects=(ANY_PORT,))
        argv = seatbelt.enclosed(text, str(file), (sys.executable, "-I", "-S", "-c", TRIAL, str(inside), str(outside)))
    except ValueError as error:
        return str(error)
    process = await asyncio.create_subprocess_exec(
        *argv, cwd="/", env={}, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )
    said, errors = await process.communicate()
    told = said.decode(errors="replace").strip() or f"it did not run: {errors.decode(errors='replace').strip()[-300:]}"
    return "" if told == KEPT else told


def _real(view: View) -> View:
    """The same view by the names that the kernel has for its places. Of what lies where the session may write only the
    outermost folder is looked up: below, it could have put a link."""
    roots = _outermost(view)

    def named(path: str) -> str:
        root = _root_of(path, roots)
        if not root:
            return os.path.realpath(path)
        return os.path.join(os.path.realpath(os.path.dirname(root)), os.path.basename(root)) + path[len(root) :]

    mounts = tuple(replace(mount, at=named(mount.source), source=named(mount.source)) for mount in view.mounts)
    return replace(view, mounts=mounts, home=named(view.home))


def _outermost(view: View) -> list[str]:
    """The folders that the session may write, without those that lie in another one."""
    written = sorted({view.home, *(mount.source for mount in view.mounts if mount.kind == "write")})
    return [path for path in written if not any(policy.lies_in(path, other) for other in written if other != path)]


def _root_of(path: str, roots: Iterable[str]) -> str:
    """Which of them a path is or lies in; "" for none."""
    return next((root for root in roots if policy.lies_in(path, root)), "")
