"""Issues of beads: `.beads/issues.jsonl`, and what `bd export` and `bd list --json` print."""

from heddle.adapters.trackers.labels import said
from heddle.adapters.trackers.telling import Found, json_lines, line_of, name, sequence, settled, string, told
from heddle.core.errors import UserError
from heddle.core.links import Link, LinkKind
from heddle.ports.trackers import Listed

FILES = ("issues.jsonl", "beads.jsonl")
"""What holds them in the folder `.beads`: the first one that is there."""

_LINKS = {
    "blocks": LinkKind.BLOCKS,
    "waits-for": LinkKind.BLOCKS,
    "parent-child": LinkKind.PARENT,
    "discovered-from": LinkKind.DISCOVERED_FROM,
}
_NO_WORK = frozenset(
    {"message", "event", "agent", "role", "rig", "convoy", "gate", "molecule", "slot", "merge-request"}
)
"""Types that beads keeps for its own bookkeeping and for letters between agents."""

_GONE = frozenset({"pinned", "tombstone"})
_PARTS = (("Design", "design"), ("Acceptance criteria", "acceptance_criteria"), ("Notes", "notes"))


def beads_tasks(text: str, place: str) -> tuple[Listed, ...]:
    """The issues that are work. Raises UserError with the line."""
    found = []
    for line, raw in json_lines(text, place):
        if string(raw.get("_type")) not in ("", "issue") or _is_no_work(raw):
            continue
        found.append(Found(_listed(raw, f"{place}, line {line}"), line))
    return settled(found, place)


def _is_no_work(raw: dict[str, object]) -> bool:
    """Whether it is bookkeeping: a passing step of a workflow, a template, a letter, or what was deleted."""
    if raw.get("ephemeral") is True or raw.get("is_template") is True or raw.get("pinned") is True:
        return True
    return string(raw.get("issue_type")) in _NO_WORK or string(raw.get("status")) in _GONE


def _listed(raw: dict[str, object], place: str) -> Listed:
    mine = name(raw.get("id"))
    if not mine:
        raise UserError(f"{place}: an issue without an id", slug="bad-json", hint="export it anew: bd export")
    word = said([*(string(one) for one in sequence(raw.get("labels"))), string(raw.get("issue_type"))])
    priority = raw.get("priority")
    known = isinstance(priority, int) and not isinstance(priority, bool) and 0 <= priority <= 4
    parts = [f"## {title}\n\n{string(raw.get(key))}" for title, key in _PARTS if string(raw.get(key)).strip()]
    return Listed(
        f"beads:{mine}",
        told(string(raw.get("title")), string(raw.get("description")), *parts, instead=mine),
        closed=line_of(string(raw.get("status"))) == "closed",
        role=word.role,
        lane=word.lane,
        priority=priority if known and isinstance(priority, int) else word.priority,
        links=_links(raw, mine),
    )


def _links(raw: dict[str, object], mine: str) -> tuple[Link, ...]:
    links = []
    for one in sequence(raw.get("dependencies")):
        if not isinstance(one, dict) or name(one.get("issue_id")) not in ("", mine):
            continue
        kind = _LINKS.get(string(one.get("type")) or string(one.get("dependency_type")))
        other = name(one.get("depends_on_id")) or name(one.get("id"))
        if kind is not None and other:
            links.append(Link(kind, f"beads:{other}"))
    if parent := name(raw.get("parent")):
        links.append(Link(LinkKind.PARENT, f"beads:{parent}"))
    return tuple(links)
