"""Holders on this machine: one per process, found again by its key, forked by the zygote."""

import asyncio
import hashlib
import os
import re
import secrets
import shutil
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from weakref import WeakValueDictionary

from heddle.adapters.sandbox.dialling import dial_here
from heddle.adapters.sandbox.held import HeldProcess
from heddle.adapters.sandbox.zygote import Zygote
from heddle.core.errors import OutsideError, Refused, SetupError
from heddle.holder.folder import VERSION, Folder
from heddle.ports import Command, Streams, View

SOCKET_LIMIT = 103
"""Bytes of a unix socket's path that every supported system takes."""

PAUSES_S = (0.01, 0.1, 0.5, 1.0)
"""Between attempts to start a process whose holder is not yet there or died before it began."""


class Holders:
    """What all tiers share. `folder` keeps the holders' folders, `runtime` their sockets."""

    def __init__(self, folder: Path, runtime: Path) -> None:
        self._root = folder.absolute()
        self._runtime = runtime.absolute()
        self._zygote = Zygote(self._root / "zygote.log")
        self._held: WeakValueDictionary[str, HeldProcess] = WeakValueDictionary()
        self._starting: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()

    async def hold(self, command: Command, **how: Any) -> tuple[HeldProcess, str]:
        """A holder for the command, once per key; `how` goes into its spec. With why it did not start, else "".

        Raises SetupError (slug socket-path-too-long, unsafe-runtime), OutsideError (slug no-holder, no-zygote).
        """
        held = self.of(command.key)
        async with self._starting.setdefault(command.key, asyncio.Lock()):
            if held.ended() is not None:
                return held, ""
            await asyncio.to_thread(self._prepare, held.folder, command, how)  # many starts wait for the disk at once
            return held, await self._begin(held)

    async def find(self, key: str) -> HeldProcess | None:
        """See the port."""
        held = self.of(key)
        return held if held.begun() else None

    async def dial_here(self, port: int) -> Streams:
        """See the port."""
        return await dial_here(port)

    def transcript(self, key: str) -> Path | None:
        """Where the standard output of a process that was ever started lies."""
        held = self.of(key)
        return held.folder.transcript if held.begun() else None

    async def live(self, *, boxes: bool = False) -> tuple[str, ...]:
        """Keys of the processes, or of the boxes, that have not ended; those whose holder was killed are settled."""
        specs = [spec for spec in self._unended() if ("make" in spec) == boxes]
        return tuple([str(spec["key"]) for spec in specs if await self.of(spec["key"]).lives()])

    async def close_idle(self) -> None:
        """End the boxes in which no held process works; whoever needs one again has it made."""
        specs = list(self._unended())
        entered = [spec for spec in specs if "make" not in spec and await self.of(spec["key"]).lives()]
        used = {spec.get("enter") for spec in entered}
        idle = [self.of(spec["key"]) for spec in specs if "make" in spec and spec["make"]["socket"] not in used]
        await asyncio.gather(*[held.stop(0) for held in idle if await held.lives()])

    async def end_view(self, key: str) -> None:
        """End the processes that were started in the view of that key, by whichever daemon."""
        started = [self.of(spec["key"]) for spec in self._unended() if spec.get("view") == key]
        await asyncio.gather(*[held.stop(0) for held in started if await held.lives()])

    def _unended(self) -> Iterator[dict[str, Any]]:
        """Specs of what began and has not written down its end."""
        for path in sorted(self._root.glob("*/started.json")):
            folder = Folder(path.parent)
            spec = None if folder.exit.exists() else folder.load(folder.spec)
            if spec is not None:
                yield spec

    async def prune(self, before: float) -> int:
        """Delete what is left of processes that ended before then (Unix seconds); how many.

        The folders of a view's boxes are counted up, so they go together or not at all.
        """
        ended, kept = dict[Path, str](), set[str]()
        for path in sorted(self._root.glob("*/spec.json")):
            folder = Folder(path.parent)
            group = str((folder.load(folder.spec) or {}).get("key", "")).rpartition("/box-")[0]
            if folder.exit.exists() and folder.exit.stat().st_mtime < before:
                ended[folder.path] = group
            else:
                kept.add(group)
        gone = [path for path, group in ended.items() if not group or group not in kept]
        for path in gone:
            await asyncio.to_thread(shutil.rmtree, path)
        return len(gone)

    async def close(self) -> None:
        """Let go of everything; what is held goes on."""
        for held in list(self._held.values()):
            held.detach()
        await self._zygote.close()

    def of(self, key: str) -> HeldProcess:
        """The process of a key, started or not."""
        held = self._held.get(key)
        if held is None:
            slug = re.sub(r"[^A-Za-z0-9._-]", "_", key)[:60]
            held = HeldProcess(key, Folder(self._root / f"{slug}-{digest(key)}"))
            self._held[key] = held
        return held

    async def _begin(self, held: HeldProcess) -> str:
        """Have a holder for it: a new one, or the one that has it already. Returns why it could not start."""
        for pause in PAUSES_S:
            answer = await self._zygote.fork(held.folder.path)
            match answer["word"]:
                case "started":
                    return str(answer["detail"])
                case "ended":
                    return ""
                case "lost":
                    await held.exit()
                    return ""
                case "failed":
                    raise _no_holder(held.key, answer["detail"], str(held.folder.path))
                case "held" if held.begun():
                    return ""
            await asyncio.sleep(pause)  # its holder has not yet set out, or was killed before it did
        raise _no_holder(held.key, "it ended before it began", str(held.folder.path))

    def _prepare(self, folder: Folder, command: Command, how: dict[str, Any]) -> None:
        """Write the spec once; a second start of the same key finds the first one's."""
        try:
            folder.path.mkdir(mode=0o700, parents=True, exist_ok=True)
            if not folder.spec.exists():
                folder.place(folder.spec, self._spec(folder, command) | how)
        except OSError as error:
            raise _no_holder(command.key, error.strerror or str(error), str(folder.path)) from error

    def _spec(self, folder: Folder, command: Command) -> dict[str, Any]:
        visited = command.stdin in ("lent", "terminal")
        return {
            "version": VERSION,
            "key": command.key,
            "marker": secrets.token_hex(16),
            "argv": list(command.argv),
            "cwd": command.cwd,
            "env": dict(command.env),
            "stdin": command.stdin,
            "transcript_limit": command.transcript_limit,
            "wall_s": command.wall_s,
            "hosts": list(command.hosts),
            "near": list(command.near),
            "forwards": list(command.forwards),
            "tools": command.tools,
            "socket": self.socket(folder, "s"),
            **({"door": self.socket(folder, "d")} if visited else {}),
        }

    def socket(self, folder: Folder, kind: str) -> str:
        """Named after the folder, not the key: two installations may share a runtime folder and their keys.

        Raises SetupError (slug socket-path-too-long, unsafe-runtime).
        """
        path = str(self._runtime / f"{digest(str(folder.path), 16)}.{kind}")
        require_socket_path(path)
        require_private(self._runtime)
        return path


def require_socket_path(path: str) -> None:
    """Raises SetupError(slug="socket-path-too-long")."""
    if len(os.fsencode(path)) > SOCKET_LIMIT:
        raise SetupError(
            f"socket path '{path}' has {len(os.fsencode(path))} bytes; the system takes {SOCKET_LIMIT}",
            slug="socket-path-too-long",
            hint="set HEDDLE_RUNTIME_DIR to a shorter folder, for instance one directly below /run or /tmp",
        )


def require_private(folder: Path) -> None:
    """Make the folder for sockets, or check it: a folder of ours that nobody else may enter.

    Raises SetupError(slug="unsafe-runtime").
    """
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    facts = folder.lstat()
    if not stat.S_ISDIR(facts.st_mode) or facts.st_uid != os.getuid() or facts.st_mode & 0o077:
        raise SetupError(
            f"runtime folder '{folder}' is not ours alone",
            slug="unsafe-runtime",
            hint="set HEDDLE_RUNTIME_DIR to a folder with mode 0700",
        )


def needs_view(key: str) -> Refused:
    """What is enclosed sees what its view names: without one there is nothing to start it in."""
    return Refused(
        f"'{key}' has no view of the machine to be enclosed in",
        slug="sandbox-needs-view",
        hint="choose a workspace provider that gives one, or tier 0; see: heddle config explain sandbox",
    )


def require_in_place(view: View) -> None:
    """Raises Refused(slug="sandbox-needs-view") unless each place of the view is where the host has it."""
    for mount in view.mounts:
        if mount.kind not in ("read", "write") or mount.at != mount.source:
            raise Refused(
                f"'{view.key}' needs a file system of its own, and there is no box to give it one",
                slug="sandbox-needs-view",
                hint="choose the workspace provider 'clone', or tier 2; see: heddle config explain workspace.provider",
            )


def digest(text: str, length: int = 8) -> str:
    """A name for a text, of that many hexadecimal digits."""
    return hashlib.sha256(text.encode(errors="surrogateescape")).hexdigest()[:length]


def _no_holder(key: str, reason: str, path: str) -> OutsideError:
    return OutsideError(
        f"no holder could be started for '{key}': {reason}",
        slug="no-holder",
        hint="see 'heddle doctor'",
        program="holder",
        folder=path,
    )
