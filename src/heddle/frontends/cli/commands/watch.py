"""heddle watch"""

import argparse
import json
import sys
from collections import Counter
from collections.abc import Callable
from typing import Any

from heddle.client import call, follow
from heddle.frontends.cli.output import clean, cut, narrate, say, when, width

EXAMPLES = ["heddle watch", "heddle watch T7"]

TOLD: dict[str, Callable[[dict[str, Any]], str]] = {
    "task-added": lambda data: f"asked: {data['task']['text'].splitlines()[0]}",
    "stage-started": lambda data: f"{data['stage']} begins (attempt {data['attempt']})",
    "rivals-started": lambda data: f"{', '.join(data['tasks'])} compete with it",
    "session-parked": lambda data: "the person talks to the agent" if data["visit"] else "its session is parked",
    "session-unparked": lambda data: "its session goes on",
    "agent-passed-over": lambda data: f"{data['agent']} is not taken: {data['why']}",
    "session-started": lambda data: f"{data['agent']} works on it (sandbox tier {data['tier']})",
    "tool-used": lambda data: f"{data['kind']}: {data['title']}",
    "question-asked": lambda data: f"asks: {data['text']}",
    "progress-reported": lambda data: f"says: {data['text']}",
    "session-frozen": lambda data: f"frozen: {data['why']}",
    "question-answered": lambda data: f"answered: {data['answer']}",
    "plan-delivered": lambda data: f"plan {data['digest']} is ready",
    "result-delivered": lambda data: f"result: {len(data['paths'])} files, +{data['insertions']} -{data['deletions']}",
    "verdict-reached": lambda data: f"verdict {data['verdict']['colour']} {data['verdict']['reason']}",
    "stage-failed": lambda data: f"{data['stage']} failed: {data['detail']}",
    "gate-passed": lambda data: f"{data['stage']} gate passed by {data['by']}",
    "gate-rejected": lambda data: f"{data['stage']} rejected: {data['reason']}",
    "plan-outdated": lambda data: f"{'research' if data.get('research') else 'plan'} is made anew: {data['why']}",
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
    parser.add_argument("--each", action="store_true", help="a line for each tool call; else those in a row are one")
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
    story = Story(each=args.each, as_json=args.json)
    try:
        return _follow(story, live, after, task, now)
    finally:
        story.end_row()


def _follow(story: "Story", live: set[str], after: int, task: str, now: int) -> int:
    for event in follow(after, task):
        story.tell(event)
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


class Story:
    """What happens, a line each. Tool calls of one task in a row are one line: on a terminal it grows, elsewhere it comes
    when the row ends.
    """

    def __init__(self, *, each: bool, as_json: bool) -> None:
        self.each, self.as_json = each, as_json
        self.grows = sys.stdout.isatty()
        self._row: list[dict[str, Any]] = []

    def tell(self, event: dict[str, Any]) -> None:
        """One more event."""
        if self.as_json:
            return say(json.dumps(event))
        if event["kind"] not in TOLD:
            return
        if event["kind"] != "tool-used" or self.each:
            self.end_row()
            return say(_line(event, TOLD[event["kind"]](event["data"])))
        if self._row and _task(self._row[-1]) != _task(event):
            self.end_row()
        self._row.append(event)
        if self.grows:
            sys.stdout.write(f"\r\x1b[K{_line(event, _folded(self._row))}")
            sys.stdout.flush()

    def end_row(self) -> None:
        """No more calls belong to the last line."""
        row, self._row = self._row, []
        if row:
            say("" if self.grows else _line(row[-1], _folded(row)))


def _folded(row: list[dict[str, Any]]) -> str:
    """Tool calls as one text: how many of which kind, and the last one."""
    last = TOLD["tool-used"](row[-1]["data"])
    if not row[1:]:
        return last
    kinds = Counter(event["data"]["kind"] for event in row)
    return f"{len(row)} calls ({', '.join(f'{count} {kind}' for kind, count in kinds.items())}), last {last}"


def _line(event: dict[str, Any], text: str) -> str:
    return cut(f"{when(float(event['at']))}  {_task(event):<4}  {clean(text.partition(chr(10))[0])}", width())
