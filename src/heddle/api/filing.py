"""What a session finds and leaves for others to do: tasks, each with the place where it shows."""

import re

import msgspec

from heddle.api.desk import Desk, require_text
from heddle.api.session_tools import Caller, require_live, require_paths
from heddle.api.tracker import require_role
from heddle.core import events as e
from heddle.core.errors import Refused, UserError
from heddle.core.links import Link, LinkKind
from heddle.core.redaction import Redactor
from heddle.core.run import Run
from heddle.core.task import Lane, Task
from heddle.engine.site import Site

MOST_FILED = 20
"""Tasks that one session may file: more is a plan, and plans are approved."""

MOST_EVIDENCE = 10
"""Places that one task may cite."""

_CITED = re.compile(r"(?P<path>[^:*?\[\]]+)(:(?P<line>[1-9][0-9]{0,6}))?")


class File(msgspec.Struct, forbid_unknown_fields=True):
    """Something that is to be done and is not your task, in words that a stranger understands. `evidence`: where it shows,
    each as path or path:line of a file that is there; a run that only reports has to give some.
    """

    text: str
    role: str = "feature"
    priority: int = 2
    evidence: list[str] = []


async def file_task(desk: Desk, caller: Caller, asked: File) -> str:
    """Put what was found into the tracker; nobody starts it but a person.

    Raises UserError (slug bad-priority, no-such-role, no-evidence), Refused(slug="too-many-tasks").
    """
    mine, text = require_live(desk, caller), require_text(asked.text)
    if not 0 <= asked.priority <= 4:
        raise UserError(f"{asked.priority} is no priority", slug="bad-priority", hint="0 goes first, 4 goes last")
    await require_role(desk, mine, asked.role)
    site = await desk.site(mine)
    cited = await _require_evidence(site, mine, asked.evidence)
    words = f"{text}\n\nEvidence, on {mine.base[:12]}: {', '.join(cited)}" if cited else text
    words = Redactor(await site.workspaces.secrets(mine.base))(words)
    async with desk.runs.adding():  # one at a time counts what was filed, and adds to it
        return await _filed(desk, caller, mine, File(words, asked.role, asked.priority))


async def _require_evidence(site: Site, run: Run, evidence: list[str]) -> tuple[str, ...]:
    """The places that are cited, each of which is there on the run's base. Raises UserError(slug="no-evidence")."""
    if run.task.lane is Lane.REPORT and not evidence:
        told = "a run that only reports files what it can show, and nothing is cited"
        raise UserError(told, slug="no-evidence", hint="name where it shows in 'evidence', as path:line")
    if len(evidence) > MOST_EVIDENCE:
        raise UserError(f"{len(evidence)} places are cited", slug="no-evidence", hint=f"name {MOST_EVIDENCE} at most")
    return tuple(dict.fromkeys([await _require_there(site, run, one) for one in evidence]))


async def _require_there(site: Site, run: Run, cited: str) -> str:
    match = _CITED.fullmatch(cited.strip())
    path = require_paths([match["path"]]).globs[0] if match else ""
    data = await site.repository.read_file(run.base, path) if path else None
    line = int(match["line"] or 0) if match else 0
    if data is None or line > len(data.splitlines()):
        hint = "cite a file of the commit that the run began on, as path or path:line"
        raise UserError(f"there is no '{cited[:120]}'", slug="no-evidence", hint=hint)
    return f"{path}:{line}" if line else path


async def _filed(desk: Desk, caller: Caller, mine: Run, asked: File) -> str:
    filed = [desk.runs.require(id) for id in desk.runs.filed_from(mine.task.id)]
    same = next((run for run in filed if run.task.text == asked.text), None)
    if same is not None:  # asked again after an answer that was lost
        return f"{same.task.id} is in the tracker"
    if len(filed) >= MOST_FILED:
        told = f"{len(filed)} tasks were filed from {mine.task.id} already"
        raise Refused(told, slug="too-many-tasks", hint="write what else you found into your document")
    link = Link(LinkKind.DISCOVERED_FROM, mine.task.id)
    id, where = f"T{desk.runs.next_number()}", (mine.task.repository, mine.task.root, mine.task.branch)
    task = Task(id, *where, asked.text, role=asked.role, priority=asked.priority, links=(link,))
    await desk.runs.record(id, e.TaskAdded(task), by=caller.session)
    return f"{id} is in the tracker"
