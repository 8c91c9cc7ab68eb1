"""The program that reads a repository and draws its map: `python -m heddle.mapping`, JSON in, JSON out.

It is a process of its own, bounded in memory: what it reads comes from outside, and reading it may take seconds. What it
read of the past, and which imports it found in which blob, it keeps beside the map: the next map reads what came since.
"""

import asyncio
import os
import resource
import sys
from collections import Counter
from contextlib import suppress
from pathlib import Path
from typing import Any

import msgspec

from heddle.adapters.communities import communities
from heddle.adapters.git import open_repository
from heddle.adapters.git.history import MOST, blobs, is_shallow, texts, touched
from heddle.adapters.git.objects import Store
from heddle.adapters.imports import statements
from heddle.adapters.imports.reading import LARGEST
from heddle.core.errors import HeddleError
from heddle.core.map.chart import Source, draw
from heddle.core.map.history import Commit, Touched, useful
from heddle.core.map.imports import Finder, language
from heddle.core.prediction.predictor import Predictor
from heddle.core.prediction.replay import Calibration, calibrated
from heddle.core.scope import Scope
from heddle.ports import Foreseen, Mapped, Words

FORMAT = 1
"""Of what is kept: another one is as good as nothing."""

MAP = f"map-{FORMAT}.json"

MEMORY = 3 * 1024**3
"""Bytes of address space."""

AGED = 20
"""Commits after which it is measured anew how good predictions are."""

MEASURED = 50
"""Commits for which a measure of the parts holds."""

MOST_PACKAGES = 400
"""Packages of one repository that are known by their names."""

AT_ONCE = 2_500
"""Source files that are read for imports before a map is drawn; of more, the busiest, and the rest for the next maps."""


class Asked(msgspec.Struct, forbid_unknown_fields=True):
    """The map of the commit `tip` of the repository at `root`; `folder` keeps what was read. `imports`: whether to read any.
    With `tasks`, not the map but what these will change.
    """

    root: str
    folder: str
    tip: str
    imports: bool = True
    tasks: list[Words] = []


class Past(msgspec.Struct):
    """What was read of a repository, newest commit first, up to `tip`; and the import statements of blobs by their id."""

    format: int = FORMAT
    tip: str = ""
    shallow: bool = False
    history: list[Touched] = []
    said: dict[str, tuple[str, ...]] = {}


class Package(msgspec.Struct):
    """What a package.json says of itself."""

    name: str = ""


class Judged(msgspec.Struct):
    """How good predictions were when the past had so many commits."""

    commits: int
    calibration: Calibration


def main() -> int:
    """Answer one request."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    if sys.platform != "darwin":  # which lets nobody bound it
        resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    asked = msgspec.json.decode(sys.stdin.buffer.read(), type=Asked)
    try:
        told: dict[str, Any] = {"answer": asyncio.run(_foreseen(asked) if asked.tasks else _mapped(asked))}
    except HeddleError as error:
        told = {"error": error.as_dict()}
    sys.stdout.buffer.write(msgspec.json.encode(told, enc_hook=str))
    return 0


async def _mapped(asked: Asked) -> Mapped:
    """The map as it was drawn last, if nothing came since."""
    folder = Path(asked.folder)
    kept: Mapped | None = _load(folder / MAP, Mapped)
    if kept is not None and kept.tip == asked.tip:
        return kept
    store = (await open_repository(Path(asked.root))).store
    past = await read_past(store, folder, asked.tip)
    files = await blobs(store, asked.tip)
    commits = useful(past.history)
    said, why = past.said, "reading them failed"
    if asked.imports:
        said, why = await _statements(store, files, past.said, commits)
    finder = Finder(files, await _packages(store, files))
    imports = {path: finder.found(path, said[blob]) for path, blob in files.items() if blob in said and language(path)}
    lately = kept is not None and abs(kept.chart.commits - len(commits)) <= MEASURED
    measure = kept.chart.measure if kept is not None and lately else None
    chart = draw(Source(commits, frozenset(files), imports), communities, measure)
    unread = sum(bool(language(path)) for path in files) - len(imports)
    mapped = Mapped(asked.tip, chart, past.shallow, unread, why)
    if len(said) != len(past.said) or said.keys() != past.said.keys():
        _keep(folder / "past", msgspec.msgpack.encode(msgspec.structs.replace(past, said=said)))
    _keep(folder / MAP, msgspec.json.encode(mapped))
    return mapped


async def _foreseen(asked: Asked) -> Foreseen:
    """What tasks will change. How good that is, is measured anew once the past has grown by some commits."""
    store = (await open_repository(Path(asked.root))).store
    folder = Path(asked.folder)
    commits = useful((await read_past(store, folder, asked.tip)).history)
    files = await blobs(store, asked.tip)
    judged: Judged | None = _load(folder / "judged.json", Judged)
    if judged is None or abs(len(commits) - judged.commits) > AGED:
        judged = Judged(len(commits), calibrated(commits))
        _keep(folder / "judged.json", msgspec.json.encode(judged))
    predictor = Predictor(reversed(commits), files)
    predict = predictor.predict if judged.calibration.good else predictor.stated
    scopes = [Scope(one.scope) for one in asked.tasks]
    covered = [[path for path in files if scope.declared and scope.covers(path)] for scope in scopes]
    told = (predict(one.text, scope=paths) for one, paths in zip(asked.tasks, covered, strict=True))
    return Foreseen(judged.calibration, tuple(told))


async def read_past(store: Store, folder: Path, tip: str) -> Past:
    """The past up to a commit: what is kept, and what came since."""
    past = _load(folder / "past", Past) or Past()
    if past.format != FORMAT:
        past = Past()
    if past.tip != tip:
        shallow = await is_shallow(store)
        newer = await _since(store, past, tip) if past.tip and not (past.shallow or shallow) else None
        history = await touched(store, tip) if newer is None else [*newer, *past.history][:MOST]
        past = Past(FORMAT, tip, shallow, history, past.said)
        _keep(folder / "past", msgspec.msgpack.encode(past))
    return past


async def _since(store: Store, past: Past, tip: str) -> list[Touched] | None:
    """What came since; None where the kept past is another line's, or its commit is gone."""
    answer = await store.run("merge-base", "--is-ancestor", past.tip, tip, ok=(0, 1, 128))
    return await touched(store, tip, past.tip) if answer.status == 0 else None


async def _statements(
    store: Store, files: dict[str, str], known: dict[str, tuple[str, ...]], commits: list[Commit]
) -> tuple[dict[str, tuple[str, ...]], str]:
    """The import statements of every source file by its blob; and what kept some from being read."""
    busy = Counter(path for commit in commits for path in commit.paths)
    sources = sorted((path for path in files if language(path)), key=lambda path: (-busy[path], path))
    named = {files[path]: path for path in reversed(sources)}
    said = {blob: known[blob] for blob in named if blob in known}
    unknown = [files[path] for path in sources if files[path] not in known]
    why = f"the {AT_ONCE} busiest come first, the others with the next map" if len(unknown) > AT_ONCE else ""
    try:
        async for chunk in texts(store, unknown[:AT_ONCE], LARGEST) if unknown else _nothing():
            said |= {blob: statements(named[blob], data) for blob, data in chunk.items()}
    except HeddleError as error:  # a partial clone does not hold them all; the past alone tells enough for a map
        return said, error.message
    return said, why


async def _packages(store: Store, files: dict[str, str]) -> dict[str, str]:
    """The npm packages of the repository: the folder of each by its name. What cannot be read is none."""
    named = [path for path in sorted(files) if path.endswith("/package.json")][:MOST_PACKAGES]
    found: dict[str, str] = {}
    with suppress(HeddleError):
        async for chunk in texts(store, [files[path] for path in named], LARGEST) if named else _nothing():
            for path in named:
                with suppress(msgspec.DecodeError, KeyError):
                    found[msgspec.json.decode(chunk[files[path]], type=Package).name] = path.rpartition("/")[0]
    return {name: folder for name, folder in found.items() if name}


async def _nothing() -> Any:
    for _ in ():
        yield {}


def _load(path: Path, kind: type[Any]) -> Any:
    """What was kept; None where there is nothing, or nothing that can be read: it can be made anew."""
    decode = msgspec.json.decode if path.suffix else msgspec.msgpack.decode
    with suppress(OSError, msgspec.DecodeError, msgspec.ValidationError):
        return decode(path.read_bytes(), type=kind)
    return None


def _keep(path: Path, data: bytes) -> None:
    """Keep it for the next time, whole or not at all; a disk that has no room for it keeps nobody from a map."""
    fresh = path.with_name(f"{path.name}.{os.getpid()}")
    with suppress(OSError):
        path.parent.mkdir(parents=True, exist_ok=True)
        fresh.write_bytes(data)
        fresh.replace(path)


if __name__ == "__main__":
    sys.exit(main())
