"""Programs that see some folders otherwise than we do: mounts in a namespace of their own, which no root is needed for."""

import asyncio
import json
import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import heddle

Otherwise = Literal["read-only", "ramfs", "overlay"]
"""As it is, but nothing can be written; empty, without attributes of files; empty, on an overlay."""

ENTRY = """
import json, os, sys
sys.path.append(sys.argv[1])
from heddle.holder.box import kernel
uid, gid = os.getuid(), os.getgid()
kernel.unshare(0x10020000)
kernel.map_own_ids(uid, gid)
kernel.mount("", "", "/", kernel.MS_REC | kernel.MS_PRIVATE)
for path, how in json.loads(sys.argv[2]).items():
    if how == "read-only":
        place = os.open(path, os.O_PATH)
        kernel.bind(place, place)
        kernel.restrict(path, kernel.ATTR_RDONLY)
    elif how == "ramfs":
        kernel.mount("ramfs", "test", path)
    else:
        layers = [f"{path}.{name}" for name in ("lower", "upper", "work")]
        for layer in layers:
            os.mkdir(layer)
        told = "userxattr,lowerdir={},upperdir={},workdir={}".format(*layers)
        kernel.mount("overlay", "test", path, 0, told)
os.execv(sys.executable, [sys.executable, *sys.argv[3:]])
"""
_SOURCE = str(Path(heddle.__file__).resolve().parents[1])
_TESTS = str(Path(__file__).resolve().parents[1])


async def python(seen: Mapping[Path, Otherwise], *argv: str, **env: str) -> tuple[int, str, str]:
    """Run Python to its end where those folders are otherwise: its status and what it wrote."""
    told = json.dumps({str(path): how for path, how in seen.items()})
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-I", "-S", "-c", ENTRY, _SOURCE, told, *argv),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": os.pathsep.join((_SOURCE, _TESTS)), **env},
    )
    out, err = await process.communicate()
    return process.returncode or 0, out.decode(), err.decode()


async def told(seen: Mapping[Path, Otherwise], program: str, *argv: str) -> Any:
    """What a Python program wrote as JSON where those folders are otherwise."""
    status, out, err = await python(seen, "-c", program, *argv)
    assert status == 0, err
    return json.loads(out)
