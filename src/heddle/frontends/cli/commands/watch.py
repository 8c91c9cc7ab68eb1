"""heddle watch"""

import argparse
import json

from heddle.client import call, follow
from heddle.frontends.cli.output import clean, narrate, say, when

EXAMPLES = ["heddle watch", "heddle watch T7"]

TOLD = {
    "stage-started": "{stage} begins (attempt {attempt})",
    "session-started": "{agent} works on it",
    "tool-used": "{kind}: {title}",
    "question-asked": "asks: {text}",
    "question-answered": "answered: {answer}",
    "plan-delivered": "plan {digest} is ready",
    "result-delivered": "result: +{insertions} -{deletions}",
    "stage-failed": "{stage} failed: {detail}",
    "gate-passed": "{stage} gate passed by {by}",
    "gate-rejected": "{stage} rejected: {reason}",
    "plan-outdated": "plan is made anew: {why}",
    "main-moved": "the branch moved; validated again",
    "landed": "landed on {branch} as {commit}",
    "run-held": "waits for a person: {detail}",
    "run-stopped": "stopped: {why}",
    "scope-violated": "wrote outside its scope: {paths}",
}


def arguments(parser: argparse.ArgumentParser) -> None:
    """The words of the command."""
    parser.add_argument("task", nargs="?", default="", metavar="TASK", help="default: all")
    parser.add_argument("--from", dest="after", type=int, default=-1, metavar="N", help="position to begin after")


def run(args: argparse.Namespace) -> int:
    """Lines as things happen, until the task is over."""
    task = args.task.upper()
    if task and call("task.show", task=task)["status"] in ("landed", "stopped"):
        narrate(f"{task} is over; see: heddle why {task}")
        return 0
    after = args.after if args.after >= 0 else (0 if task else call("daemon")["position"])
    for event in follow(after, task):
        if args.json:
            say(json.dumps(event))
        else:
            _show(event)
        if task and event["kind"] in ("landed", "run-stopped"):
            return 0
    return 0


def _show(event: dict[str, object]) -> None:
    kind, data = str(event["kind"]), event["data"]
    if not isinstance(data, dict):
        return
    if kind == "verdict-reached":
        text = f"verdict {data['verdict']['colour']} {str(data['verdict']['reason']).splitlines()[:1] or ''}"
    elif kind in TOLD:
        text = TOLD[kind].format(**data)
    else:
        return
    name = str(event["stream"]).partition(":")[2].partition("-")[0]
    at = event["at"]
    say(f"{when(float(at)) if isinstance(at, int | float) else ''}  {name:<4}  {clean(text)[:160]}")
