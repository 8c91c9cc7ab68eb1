"""What this machine offers for sandboxes, found out by trying, and what a person can do about what it lacks."""

import asyncio
import json
import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from heddle.adapters.sandbox import policy
from heddle.adapters.sandbox.seatbelt import try_profile
from heddle.adapters.sandbox.strong import StrongBox, unbounded
from heddle.core.errors import SetupError
from heddle.holder import landlock
from heddle.holder.box import groups

PROBE = """
import json, sys
sys.path.append(sys.argv[1])
from heddle.holder.box.probe import probe
json.dump(probe(sys.argv[2]), sys.stdout)
"""
TRIAL = """
import json, sys
sys.path.append(sys.argv[1])
from heddle.holder.trial import trial
json.dump(trial(sys.argv[2]), sys.stdout)
"""
TIERS = ("auto", "0", "1", "2", "3")
DARWIN = sys.platform == "darwin"
CONFINED = "seatbelt" if DARWIN else "landlock"
SEATBELT = (
    "a profile was tried and works here; Heddle's own tests have not run on a Mac. Against a box it lacks: command names "
    "of your processes are seen; servers on its leased ports alone; no keychain: hand agents their keys by the environment"
)
_SOURCE = str(Path(__file__).resolve().parents[3])
_APPARMOR = Path("/proc/sys/kernel/apparmor_restrict_unprivileged_userns")
_NAMESPACES = Path("/proc/sys/user/max_user_namespaces")
_CLONE = Path("/proc/sys/kernel/unprivileged_userns_clone")


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was tried: whether it works, and what follows."""

    what: str
    ok: bool
    detail: str


async def try_box(folder: Path) -> str:
    """Why no box can be made over a workspace in `folder`, with the remedy; "" when one can."""
    if not sys.platform.startswith("linux"):
        return f"boxes need Linux; this is {sys.platform}"
    try:
        steps: dict[str, str] = await _run(PROBE, folder)
    except ValueError as error:
        return str(error)
    failed = next(((name, why) for name, why in steps.items() if why), None)
    return "" if failed is None else f"{failed[0]}: {failed[1]}; {_remedy(failed[0])}"


async def try_landlock(folder: Path) -> tuple[int, str]:
    """The version of Landlock here (0: none), and why sessions that reach their hosts cannot be confined by it."""
    if not sys.platform.startswith("linux"):
        return 0, f"Landlock needs Linux; this is {sys.platform}"
    try:
        told: dict[str, Any] = await _run(TRIAL, folder)
    except ValueError as error:
        return 0, str(error)
    version, why = int(told["version"]), str(told["why"])
    if not version:
        return 0, f"{why}; it needs Linux 6.7 or newer, built and booted with Landlock ('landlock' in the option lsm=)"
    if not why and version < landlock.PORTS:
        why = f"version {version} knows no network, so agents could not reach their models; Linux 6.7 or newer does"
    return version, why


async def try_confined(folder: Path, environment: Mapping[str, str]) -> str:
    """Why sessions that reach their hosts cannot be confined by what this system has for tier 1; "" when they can."""
    return await try_profile(folder, environment) if DARWIN else (await try_landlock(folder))[1]


async def _run(program: str, folder: Path) -> Any:
    """What a program of ours found out in a process of its own. Raises ValueError when it broke."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-I", "-S", "-c", program, _SOURCE, str(folder)),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    said, errors = await process.communicate()
    try:
        return json.loads(said)
    except ValueError:
        raise ValueError(f"the probe failed: {errors.decode(errors='replace').strip()[-300:]}") from None


def tier_for(wanted: str, why_no_box: str, why_not_confined: str) -> int:
    """The tier to work in, given why the two that enclose cannot be had ("": they can).

    What was asked for and cannot be had is never replaced by less: sessions are then refused one by one, with the
    reason (D2). Raises SetupError(slug="config-wrong-type") for a tier that does not exist.
    """
    if wanted not in TIERS:
        raise SetupError(
            f"'sandbox.tier' is '{wanted}'; it must be one of {', '.join(TIERS)}",
            slug="config-wrong-type",
            hint="see: heddle config explain sandbox.tier",
        )
    if wanted == "auto":
        return (0 if why_not_confined else 1) if why_no_box else 2
    return int(wanted)


async def findings(
    tier: int, folder: Path, environment: Mapping[str, str], also: policy.Shown, memory_mb: int = 0
) -> list[Finding]:
    """What `heddle doctor` says about sandboxes. What nobody needs here is told, and is no fault."""
    why_no_box = await try_box(folder)
    using = {
        0: "tier 0: sessions are isolated by workspace only; an agent may read and write what you may",
        1: f"tier 1 ({CONFINED}): own files per session, and the tools below; your processes, file names and loopback stay in sight",
        2: "tier 2 (box): own file system, processes and network per session; nothing of HOME but the tools below",
        3: "tier 3 (strong): a box, system calls by a list, no way out but to the agent's own hosts",
    }[tier]
    found = [
        Finding("sandbox", tier >= 1, using),
        Finding("box", not why_no_box, why_no_box or "namespaces, overlay, seccomp: each was tried and works"),
        await _confined(folder, environment, needed=tier < 2),
    ]
    if tier >= 1:
        shown = ", ".join(policy.tools(environment, also)) or "nothing"
        found.append(Finding("shown inside", True, f"/usr, /etc, /opt without their secrets, and read-only: {shown}"))
    found.append(_memory(tier, memory_mb))
    return found


async def _confined(folder: Path, environment: Mapping[str, str], *, needed: bool) -> Finding:
    """What this system has for tier 1."""
    if DARWIN:
        why = await try_profile(folder, environment)
        return Finding("seatbelt", not (needed and why), why or SEATBELT)
    version, why = await try_landlock(folder)
    return Finding("landlock", not (needed and why), why or _landlock(version))


def _landlock(version: int) -> str:
    """What it gives, and what it lacks that a box has."""
    lacks = [
        *(
            ()
            if version >= landlock.SIGNALS
            else ("sessions may end your other processes (Linux 6.12 keeps them from it)",)
        ),
        "names, sizes and command lines of your other files and processes are seen, modes and times of your files changed",
        "no terminals, unix sockets, datagrams or shared memory; servers of a session's own on its leased ports alone",
    ]
    return f"version {version}, tried and works; against a box it lacks: {'; '.join(lacks)}"


def _remedy(step: str) -> str:
    """The next thing to do where a step fails."""
    if step in ("namespaces", "own ids", "mounts") and _says(_APPARMOR, "1"):
        return (
            "AppArmor keeps user namespaces from unprivileged programs: as root, give the Python interpreter "
            f"'{os.path.realpath(sys.executable)}' a profile with 'userns,' in /etc/apparmor.d and load it"
        )
    if _says(_CLONE, "0"):
        return "user namespaces are switched off: as root, set kernel.unprivileged_userns_clone to 1"
    if _says(_NAMESPACES, "0"):
        return "user namespaces are switched off: as root, set user.max_user_namespaces above 0"
    if step == "overlay":
        return "the kernel (5.11 or newer) or the file system refuses an overlay: put HEDDLE_HOME on ext4, xfs or btrfs"
    if step == "processes":
        return "this looks like a container that hides parts of /proc: run Heddle outside of it"
    return "work goes on in a lower tier"


def _memory(tier: int, memory_mb: int) -> Finding:
    """Whether the memory of one session is bounded; below tier 3 nobody asked for it."""
    why = unbounded(memory_mb)
    if tier < StrongBox.tier:
        group = "" if groups.why_none() else "; in tier 3 a session can have a bound of its own"
        return Finding("memory limits", True, f"by admission alone: no session starts without room for it{group}")
    remedy = "see: heddle config explain limits.session_memory_mb"
    if groups.why_none():
        remedy = "start Heddle's daemon where a group is delegated: systemd-run --user --scope -p Delegate=yes heddle daemon start"
    told = f"not bounded: {why}; {remedy}" if why else f"{memory_mb} MB for each box, by a control group of its own"
    return Finding("memory limits", not why, told)


def _says(path: Path, word: str) -> bool:
    try:
        return path.read_text().strip() == word
    except OSError:
        return False
