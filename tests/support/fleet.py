"""A whole Heddle for tests: a real repository, the real wiring, the rehearsal agent as a real process."""

import asyncio
import json
import os
import subprocess
import sys
import tomllib
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

if TYPE_CHECKING:
    from heddle import wiring  # loaded where it is used: programs of tests need the small things here alone

PATIENCE = 0.4 if os.environ.get("HEDDLE_TEST_BROKEN") else 1.0
"""Under a deliberate break what is waited for never comes, and it is not waited for as long."""

PLAN = '+++\nscope = ["{path}"]\nchecks = ["test -s {path}"]\n+++\n# Plan\n\n1. Write {path}.\n'


def git(path: Path, *args: str) -> str:
    """Git in a folder, with an identity."""
    env = {**os.environ, "GIT_AUTHOR_DATE": "@1700000000 +0000", "GIT_COMMITTER_DATE": "@1700000000 +0000"}
    command = ["git", "-c", "user.name=Ada", "-c", "user.email=ada@example.com", *args]
    return subprocess.run(command, cwd=path, check=True, capture_output=True, text=True, env=env).stdout.strip()


def make_repository(path: Path, files: Mapping[str, str | bytes] | None = None) -> Path:
    """A repository with one commit on main."""
    path.mkdir(parents=True)
    git(path, "init", "-q", "-b", "main")
    git(path, "config", "user.name", "Ada")
    git(path, "config", "user.email", "ada@example.com")
    for name, text in (files or {"a.py": "x = 1\n", ".gitignore": "__pycache__/\n"}).items():
        (path / name).parent.mkdir(parents=True, exist_ok=True)
        (path / name).write_bytes(text.encode() if isinstance(text, str) else text)
    git(path, "add", "-A")
    git(path, "commit", "-q", "-m", "first")
    return path


def scene(stage: str, *steps: dict[str, Any], task: str = "", attempt: int = 0) -> dict[str, Any]:
    """A scene of a rehearsal script."""
    return {"task": task, "stage": stage, "attempt": attempt, "steps": list(steps)}


def writes(path: str, text: str = "hello\n", **more: Any) -> list[dict[str, Any]]:
    """The three scenes of a task that writes one file."""
    return [
        scene("research", {"do": "document", "text": "# Research\n- a.py:1\n"}, **more),
        scene("plan", {"do": "document", "text": PLAN.format(path=path)}, **more),
        scene("execute", {"do": "write", "path": path, "text": text}, {"do": "document", "text": "done\n"}, **more),
    ]


def write_agent(folder: Path, name: str, code: str) -> None:
    """A brand of the person's own: the rehearsal agent after `code` changed it; `folder` is where person.toml lies."""
    program = (
        "import os\nfrom pathlib import Path\nfrom heddle.rehearsal import acp, player, script\n"
        f"{code}\nacp.Server(script.load(Path(os.environ['HEDDLE_REHEARSAL_SCRIPT']))).serve()\n"
    )
    lines = [
        f'name = "{name}"\nprotocol = "acp"\ncommand = ["{{python}}", "-c", {json.dumps(program)}]',
        'env = ["HEDDLE_REHEARSAL_SCRIPT", "PYTHONPATH"]\nshows = ["HEDDLE_REHEARSAL_SCRIPT"]',
        "[capabilities]\nresume = true\nplan_mode = true\n",
    ]
    (folder / "agents").mkdir(exist_ok=True)
    (folder / "agents" / f"{name}.toml").write_text("\n".join(lines))


def write_script(path: Path, scenes: list[dict[str, Any]]) -> Path:
    """A script file; JSON strings are TOML strings."""
    lines = []
    for one in scenes:
        lines.append("[[scene]]")
        lines += [f"{key} = {json.dumps(one[key])}" for key in ("task", "stage", "attempt")]
        steps = ", ".join(
            "{ " + ", ".join(f"{k} = {_toml(v)}" for k, v in step.items()) + " }" for step in one["steps"]
        )
        lines.append(f"steps = [{steps}]")
    text = "\n".join(lines) + "\n"
    tomllib.loads(text)
    path.write_text(text)
    return path


def _toml(value: Any) -> str:
    return json.dumps(value).replace("\\u007f", "\\u007F")


class Heddle:
    """A wired Heddle with its fleet running."""

    def __init__(self, house: "wiring.House", repository: Path) -> None:
        self.house = house
        self.repository = repository

    async def call(self, method: str, **params: Any) -> dict[str, Any]:
        """An API method, through the same door as a front end."""
        from heddle.server.app import invoke

        answer = await invoke(self.house.desk, method, json.dumps(params).encode())
        told: dict[str, Any] = json.loads(msgspec.json.encode(answer))
        return told

    async def start(self, text: str, **params: Any) -> str:
        """Start a task; returns its id."""
        return str((await self.call("task.start", root=str(self.repository), text=text, **params))["id"])

    async def until(self, *tasks: str, approve: bool = True, limit_s: float = 60.0) -> list[dict[str, Any]]:
        """Rows once every task is over or waits for something that is no plan gate and no question."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + limit_s * PATIENCE
        while True:
            told = await self.call("task.wait", tasks=list(tasks), seconds=5.0)
            items = [item for item in (await self.call("inbox"))["items"] if item["task"] in tasks]
            settled = False
            for item in items if approve else ():
                if item["kind"].startswith("gate-"):
                    await self.call("inbox.approve", task=item["task"], digest=item["digest"])
                    settled = True
                elif item["kind"] == "question":
                    await self.call("inbox.answer", task=item["task"])
                    settled = True
            if told["over"] or (items and not settled):
                return list(told["tasks"])
            assert loop.time() < deadline, told
            await asyncio.sleep(0)

    async def until_kind(self, task: str, kind: str, limit_s: float = 30.0) -> dict[str, Any]:
        """The first event of a kind in the task's stream."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + limit_s * PATIENCE
        journal = self.house.journal
        while True:
            position = journal.position()
            for event in (await self.call("events", task=task))["events"]:
                if event["kind"] == kind:
                    return dict(event)
            assert loop.time() < deadline, f"no {kind}"
            await asyncio.wait_for(journal.wait(position), timeout=max(0.1, deadline - loop.time()))

    async def until_tidy(self, task: str, limit_s: float = 60.0) -> None:
        """Wait until the workspaces of a task that is over are removed: their removal makes boxes, too."""
        journal, runs = self.house.journal, self.house.desk.runs
        async with asyncio.timeout(limit_s):
            while True:
                position = journal.position()
                if not runs.require(task).workspaces:
                    return
                await journal.wait(position)

    async def kinds(self, task: str) -> list[str]:
        """The kinds of a task's events in order."""
        return [event["kind"] for event in (await self.call("events", task=task))["events"]]


@asynccontextmanager
async def heddle(
    folder: Path,
    repository: Path,
    scenes: list[dict[str, Any]] | None = None,
    config: str = "",
    *,
    leave: bool = False,
    **env: str,
) -> AsyncIterator[Heddle]:
    """A running Heddle; its daemon part ends with the block, and sessions that live are ended too (unless `leave`)."""
    from heddle import wiring
    from heddle.api import keeping
    from heddle.server.mcp.listening import Listeners

    home, run = Path(os.environ["HEDDLE_HOME"]), Path(os.environ["HEDDLE_RUNTIME_DIR"])
    person = folder / "person.toml"
    person.write_text('[agent]\ndefault = "rehearsal"\n' + config)
    told = {**os.environ, "HEDDLE_CONFIG": str(person), "PYTHONPATH": os.pathsep.join(sys.path), **env}
    if scenes is not None:
        told["HEDDLE_REHEARSAL_SCRIPT"] = str(write_script(folder / "script.toml", scenes))
    tools = Listeners(home, run)
    house = await wiring.build(home, run, told, lambda: None, tools=tools)
    tools.desk = house.desk
    fleet = asyncio.create_task(house.desk.fleet.serve())
    lists = asyncio.create_task(keeping.serve(house.desk))
    try:
        yield Heddle(house, repository)
    finally:
        lists.cancel()
        fleet.cancel()
        await asyncio.wait({fleet, lists})
        await house.dispatcher.close()
        await tools.close_all()
        await house.close()  # what was about to be started has started by then
        for boxes in () if leave else (False, True):
            for key in await house.enclosures.none.live(boxes=boxes):
                held = await house.enclosures.none.find(key)
                if held is not None:
                    await held.stop(0)
                    held.detach()
