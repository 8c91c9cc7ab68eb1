"""heddle watch"""

import argparse
import json
from collections.abc import Callable
from typing import Any

from heddle.client import call, follow
from heddle.frontends.cli.output import clean, cut, narrate, say, when, width

EXAMPLES = ["heddle watch", "heddle watch T7"]

TOLD: dict[str, Callable[[dict[str, Any]], str]] = {
    "task-added": lambda data: f"asked: {data['task']['text'].splitlines()[0]}",
    "stage-started": lambda data: f"{data['stage']} begins (attempt {data['attempt']})",
    "session-parked": lambda data: "the person talks to the agent" if data["visit"] else "its session is parked",
    "session-unparked": lambda data: "its session goes on",
    "agent-passed-over": lambda data: f"{data['agent']} is not taken: {data['why']}",
    "session-started": lambda data: f"{data['agent']} works on it (sandbox tier {data['tier']})",
    "tool-used": lambda data: f"{data['kind']}: {data['title']}",
    "question-asked": lambda data: f"asks: {data['text']}",
    "session-frozen": lambda data: f"frozen: {data['why']}",
    "question-answered": lambda data: f"answered: {data['answer']}",
    "plan-delivered": lambda data: f"plan {data['digest']} is ready",
    "result-delivered": lambda data: f"result: {len(data['paths'])} files, +{data['insertions']} -{data['deletions']}",
    "verdict-reached": lambda data: f"verdict {data['verdict']['colour']} {data['verdict']['reason']}",
    "stage-failed": lambda data: f"{data['stage']} failed: {data['detail']}",
    "gate-passed": lambda data: f"{data['stage']} gate passed by {data['by']}",
    "gate-rejected": lambda data: f"{data['stage']} rejected: {data['reason']}",
    "plan-outdated": lambda data: f"plan is made anew: {data['why']}",
    "main-moved": lambda data: "the branch moved; validated again",
    "landed": lambda data: f"landed on {data['branch']} as {data['commit'][:12]}",
    "run-held": lambda data: f"waits for a person: {data['detail']}",
    "run-released": lambda data: "sent on by a person",
    "run-paused": lambda data: "paused",
    "run-resumed": lambda data: "resumed",
    "stop-requested": lambda data: f"stop requested: {data['why']}",
    "run-stopped": lambda data: f"stopped: {data['why']}",
    "workspace-entered": lambda data: f"a person entered {data['workspace']}",
    "workspace-left": lambda data: f"the person left {data['workspace']}",
    "scope-violated": lambda data: f"wrote outside its scope: {', '.join(data['paths'])}",
}
LAST = ("landed", "run-stopped")
OVER = ("landed", "stopped")


def arguments(parser: argparse.ArgumentParser) -> None:
    """The words of the command."""
    parser.add_argument("task", nargs="?", default="", metavar="TASK", help="default: all that are under way")
    parser.add_argument("--from", dest="after", type=int, default=-1, metavar="N", help="position to begin after")


def run(args: argparse.Namespace) -> int:
    """Lines as things happen, until all that was under way is over."""
    task = args.task.upper()
    now = call("daemon")["position"]
    live = _under_way(task)
    if not live:
        narrate(f"{task} is over; see: heddle why {task}" if task else "nothing is under way")
        return 0
    after = args.after if args.after >= 0 else (0 if task else now)
    for event in follow(after, task):
        _show(event, args.json)
        if event["kind"] == "run-started" and event["position"] > now:
            live.add(_task(event))
        if event["kind"] in LAST and event["position"] > now:
            live.discard(_task(event))
            if not live:
                return 0
    return 0


def _under_way(task: str) -> set[str]:
    if task:
        return {task} if call("task.show", task=task)["status"] not in OVER else set()
    return {row["id"] for row in call("board")["tasks"] if row["status"] not in (*OVER, "open")}


def _task(event: dict[str, Any]) -> str:
    return str(event["stream"]).partition(":")[2].partition("-")[0]


def _show(event: dict[str, Any], as_json: bool) -> None:
    if as_json:
        return say(json.dumps(event))
    if event["kind"] in TOLD:
        first = TOLD[event["kind"]](event["data"]).partition("\n")[0]
        say(cut(f"{when(float(event['at']))}  {_task(event):<4}  {clean(first)}", width()))
