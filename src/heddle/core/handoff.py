"""What a stage leaves for whoever comes next: the next session, a resumed one, a person, the successor of a failed attempt."""

from heddle.core import events as e
from heddle.core.cycle import Decision, Wait
from heddle.core.run import Active, Run

MOST_LINES = 200
"""Of all of it: what is longer is not read."""

MOST_OF_A_PART = 60


def handoff(run: Run, decision: Decision | None = None) -> str:
    """Where the run stands, always under the same heads: asked, done, decided, open, evidence, documents."""
    parts = [
        _head(run),
        _part("Asked", run.task.text.strip().splitlines()),
        _part("Done", _done(run)),
        _part("Decided", _decided(run)),
        _part("Open", _open(run, decision)),
        _part("Evidence", run.evidence.strip().splitlines()),
        _part("Research", run.research.strip().splitlines()),
        _part("Handoff", run.result.handoff.strip().splitlines() if run.result else []),
    ]
    lines = "\n\n".join(part for part in parts if part).splitlines()
    return "\n".join(lines if len(lines) <= MOST_LINES else [*lines[: MOST_LINES - 1], "[cut here]"])


def _head(run: Run) -> str:
    at = f"stage {run.stage}, attempt {run.attempt(run.stage)}; " if run.number else "not begun; "
    based = f"; begun on {run.base[:12]}" if run.base else ""
    return (
        f"{run.task.id}: {run.task.title}\n{at}lane {run.task.lane}; role {run.task.role}\n"
        f"lands on {run.task.branch}{based}\nmay write: {', '.join(run.scope.globs) or '(not declared)'}\n"
        f"checks: {'; '.join(run.checks) or '(none known)'}"
    )


def _part(name: str, lines: list[str]) -> str:
    more = [f"[{len(lines) - MOST_OF_A_PART} lines more]"] if lines[MOST_OF_A_PART:] else []
    return "\n".join([f"{name}:", *lines[:MOST_OF_A_PART], *more]) if lines else ""


def _done(run: Run) -> list[str]:
    """A line for each stage that came to something."""
    told = ["- research"] if run.research else []
    if run.plan is not None:
        told.append(f"- plan {run.bound()}" + (", approved" if run.approved == run.bound() else ", not approved"))
    if run.result is not None:
        told.append(f"- result {_changed(run.result)}")
    if run.verdict is not None:
        told.append(f"- verdict {run.verdict.colour}")
    return [*told, f"- landed as {run.landed.commit[:12]}"] if run.landed else told


def _changed(result: e.ResultDelivered) -> str:
    paths = f"{', '.join(result.paths[:10])}{' and more' if result.paths[10:] else ''}"
    return f"{result.commit[:12]}: +{result.insertions} -{result.deletions} in {paths}"


def _decided(run: Run) -> list[str]:
    asked = dict(run.settled)
    others = [f"- {question}: {answer}" for question, answer in run.answers if not question.startswith("plan-")]
    by = [f"- the plan was approved by {run.approved_by}"] if run.approved_by else []
    return [*by, *(f"- {question} {answer}" for question, answer in asked.items()), *others]


def _open(run: Run, decision: Decision | None) -> list[str]:
    told = [f"- asked: {question.text}" for question in run.questions]
    told += [f"- wrote outside its scope: {', '.join(run.violations[:5])}"] if run.violations else []
    if isinstance(decision, Wait) and not isinstance(run.activity, Active):
        told.append(f"- waits for {decision.who}: {decision.detail}")
    return told
