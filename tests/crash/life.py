"""One life of one task, in a process of its own: a client that starts the daemon again whenever it has died.

python life.py FOLDER before|after|never [NUMBER ...]  -> one JSON object: what the journal and the refs tell at the end
"""

import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from heddle.client import call
from heddle.core.errors import HeddleError
from heddle.holder.reaper import become_subreaper, descendants
from support.fleet import git, make_repository, scene, write_script, writes

LIMIT_S = 60.0
DAEMON = Path(__file__).with_name("crashing.py")
SCENES = [
    scene("research", {"do": "read", "path": "a.py"}, {"do": "document", "text": "# Research\n- a.py:1\n"}),
    writes("b.txt")[1],
    scene(
        "execute",
        {"do": "ask", "text": "Which?", "options": ["x", "y"], "default": "x"},
        {"do": "write", "path": "b.txt", "text": "{answer}\n"},
        {"do": "run", "command": "test -s b.txt"},
        {"do": "usage", "input": 10, "output": 1, "usd": 0.01},
        {"do": "document", "text": "done\n"},
    ),
]


class Client:
    """Asks the daemon, and starts it again when it is gone."""

    def __init__(self, folder: Path, when: str, numbers: list[str]) -> None:
        self.log = folder / "daemon.log"
        self.counter = folder / "count"
        self.command = [sys.executable, str(DAEMON), when, str(self.counter), *numbers]
        self.daemon: subprocess.Popen[bytes] | None = None
        self.starts = 0

    def ask(self, method: str, once: bool = False, **params: Any) -> dict[str, Any]:
        """An answer, whatever it takes; a refusal is one too. With `once` a lost answer is not asked for again."""
        deadline = time.monotonic() + LIMIT_S
        while time.monotonic() < deadline:
            if self.daemon is None or self.daemon.poll() is not None:
                self.starts += 1
                with self.log.open("ab") as log:
                    self.daemon = subprocess.Popen(self.command, stdout=log, stderr=log)
            try:
                return call(method, False, **params)
            except HeddleError as error:
                if error.slug not in ("no-daemon", "daemon-gone", "daemon-garbled"):
                    return {"refused": error.slug}
                if once and error.slug != "no-daemon":
                    return {"lost": True}
            except OSError:
                if once:
                    return {"lost": True}
            select_briefly()
        raise TimeoutError(method)

    def end(self) -> None:
        """End the daemon in good order."""
        assert self.daemon is not None
        self.daemon.send_signal(signal.SIGTERM)
        self.daemon.wait(20)


def select_briefly() -> None:
    """Give the daemon a moment; the waiting itself is bounded by the caller."""
    import select

    select.select([], [], [], 0.02)


def live(folder: Path, when: str, numbers: list[str]) -> dict[str, Any]:
    """Play the task to its end, deciding whatever waits for a person."""
    repository = make_repository(folder / "repo")
    (folder / "person.toml").write_text('[agent]\ndefault = "rehearsal"\n')
    os.environ |= {
        "HEDDLE_HOME": str(folder / "state"),
        "HEDDLE_RUNTIME_DIR": str(folder / "run"),
        "HEDDLE_CONFIG": str(folder / "person.toml"),
        "HEDDLE_REHEARSAL_SCRIPT": str(write_script(folder / "script.toml", SCENES)),
    }
    become_subreaper()
    client = Client(folder, when, numbers)
    deadline = time.monotonic() + LIMIT_S * (1 + len(numbers))
    while not client.ask("board", all=True)["tasks"]:
        client.ask("task.start", True, root=str(repository), text="write b")
    while not (told := client.ask("task.wait", tasks=["T1"], seconds=5)).get("over"):
        assert time.monotonic() < deadline, (told, client.ask("task.why", task="T1"))
        for item in client.ask("inbox").get("items", []):
            if item["kind"].startswith("gate-"):
                client.ask("inbox.approve", task="T1", digest=item["digest"])
            elif item["kind"] == "question":
                client.ask("inbox.answer", task="T1")
    until_quiet(client, deadline)
    events = client.ask("events", limit=100_000)["events"]
    client.end()
    return {
        "commits": int(client.counter.read_text()),
        "starts": client.starts,
        "died": list(map(int, died.read_text().split())) if (died := folder / "count.died").exists() else [],
        "status": told["tasks"][0]["status"],
        "facts": facts(events, folder),
        "refs": refs(repository),
        "left": list(descendants(os.getpid())),
    }


def until_quiet(client: Client, deadline: float) -> None:
    """Until the workspaces are gone, too, and the landing is over."""
    while client.ask("task.show", task="T1").get("workspaces", ["?"]) or not landed(client):
        assert time.monotonic() < deadline
        select_briefly()


def landed(client: Client) -> bool:
    """Whether the train that carried the task has arrived."""
    told = client.ask("events", limit=100_000).get("events", [])
    return any(event["kind"] == "train-landed" for event in told)


def facts(events: list[dict[str, Any]], folder: Path) -> list[str]:
    """The journal without times, places and ids that carry a time; streams apart, each in its order."""
    told = [f"{event['stream']} {event['kind']} {json.dumps(event['data'], sort_keys=True)}" for event in events]
    plain = [re.sub(r"\b[0-9a-f]{40}\b|\b[0-9a-f]{16}\b", "ID", line) for line in told]
    plain = [re.sub(r"repo-[0-9a-f]{10}", "repo-ID", line.replace(str(folder), "FOLDER")) for line in plain]
    plain = [re.sub(r'"seconds": [0-9.]+', '"seconds": 0', line) for line in plain]
    return sorted(plain, key=lambda line: line.split(" ", 1)[0])


def refs(repository: Path) -> list[str]:
    """Every ref with the tree it leads to; commits carry a time, so what is named after one is not compared by name."""
    told = git(repository, "for-each-ref", "--format=%(refname) %(tree)").splitlines()
    shown = sorted(re.sub(r"bases/[0-9a-f]{40}", "bases/ID", line) for line in told)
    return [*shown, git(repository, "status", "--porcelain"), git(repository, "log", "--format=%s", "main")]


if __name__ == "__main__":
    print(json.dumps(live(Path(sys.argv[1]), sys.argv[2], sys.argv[3:])))
