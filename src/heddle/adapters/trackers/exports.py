"""What of our tracker is written out: JSON lines to keep and to bring in again, and a block in a Markdown file to read."""

import json
import re
from collections.abc import Iterable, Iterator

from heddle.adapters.trackers.checklist import BEGIN, END, managed
from heddle.adapters.trackers.telling import Found, cut, json_lines, line_of, name, plain, settled, string
from heddle.core.errors import UserError
from heddle.core.links import Link, LinkKind
from heddle.core.task import Lane
from heddle.ports.trackers import Exported, Listed

_NUMBERED = re.compile(r"([A-Za-z-]*)(\d{1,18})")
_HIDDEN = re.compile("[\x7f-\x9f\u2028\u2029\u200e\u200f\u202a-\u202e\u2066-\u2069\ud800-\udfff\ufeff]")
_TITLE_LIMIT = 200
_DEPTH_LIMIT = 20


def as_jsonl(tasks: Iterable[Exported]) -> str:
    """One object per line, in the order of the ids' numbers, its keys always in the same order.

    It says the same of the same tasks, so that two versions of it can be compared and merged line by line.
    """
    return "".join(f"{_escaped(_object(task))}\n" for task in sorted(tasks, key=_order))


def _object(task: Exported) -> dict[str, object]:
    links = sorted((str(link.kind), _number(link.task), link.task) for link in task.links)
    return {
        "id": task.id,
        "source": task.source,
        "text": task.text,
        "status": task.status,
        "closed": task.closed,
        "role": task.role,
        "lane": task.lane,
        "priority": task.priority,
        "links": [{"kind": kind, "task": other} for kind, _, other in links],
    }


def _escaped(value: dict[str, object]) -> str:
    """JSON on one line, in which nothing moves a cursor: what it would escape anyway, and what it would not."""
    return _HIDDEN.sub(lambda match: f"\\u{ord(match[0]):04x}", json.dumps(value, ensure_ascii=False))


def _order(task: Exported) -> tuple[tuple[int, str], str]:
    return _number(task.id), task.id


def _number(id: str) -> tuple[int, str]:
    found = _NUMBERED.fullmatch(id)
    return (int(found[2]), found[1]) if found else (10**18, id)


def exported_in(text: str, place: str) -> Iterator[tuple[int, Exported]]:
    """The tasks of JSON lines of ours, as they were, each with its line. Raises UserError with the line."""
    for line, raw in json_lines(text, place):
        where = f"{place}, line {line}"
        links = raw.get("links", [])
        priority = raw.get("priority", 2)
        if not string(raw.get("id")) or not plain(string(raw.get("text"))).strip() or not isinstance(links, list):
            raise _wrong(where, "an id, a text and a list of links are needed")
        if not isinstance(priority, int) or isinstance(priority, bool) or not 0 <= priority <= 4:
            raise _wrong(where, "a priority is a number from 0 to 4")
        if (lane := raw.get("lane", "")) not in ("", *Lane):
            raise _wrong(where, f"a lane is one of {', '.join(Lane)}")
        words = {key: string(raw.get(key)) for key in ("id", "source", "text", "status", "role")}
        closed = raw.get("closed") is True
        tied = tuple(_tied(link, where) for link in links)
        yield line, Exported(**words, lane=string(lane), closed=closed, priority=priority, links=tied)


def _tied(raw: object, where: str) -> Link:
    if isinstance(raw, dict) and raw.get("kind") in list(LinkKind) and string(raw.get("task")):
        return Link(LinkKind(raw["kind"]), string(raw.get("task")))
    raise _wrong(where, f"a link has a task and a kind, one of {', '.join(LinkKind)}")


def jsonl_tasks(content: str, place: str) -> tuple[Listed, ...]:
    """The tasks of JSON lines of ours. One that came from a list keeps its name there; others are named by their ids.

    Raises UserError with the line.
    """
    tasks = tuple(exported_in(content, place))
    sources = {task.id: _source(task) for _, task in tasks}
    found = []
    for line, task in tasks:
        links = tuple(Link(link.kind, sources.get(link.task) or f"jsonl:{name(link.task)}") for link in task.links)
        text = cut(plain(task.text))
        listed = Listed(_source(task), text, task.closed, line_of(task.role), task.lane, task.priority, links)
        found.append(Found(listed, line))
    return settled(found, place)


def _source(task: Exported) -> str:
    return name(task.source) or f"jsonl:{name(task.id)}"


def _wrong(where: str, why: str) -> UserError:
    return UserError(f"{where}: {why}", slug="bad-json", hint="mend that line, or export the tasks anew")


def as_roadmap(tasks: Iterable[Exported], before: str) -> str:
    """A Markdown text with the tasks in our block; all else stays as it is, and without a block one is added at its end.

    Raises UserError(slug="broken-block").
    """
    lines = before.splitlines(keepends=True) if not before else re.findall(r"[^\n]*\n|[^\n]+", before)
    end = "\r\n" if before.count("\r\n") * 2 > before.count("\n") else "\n"
    block = [BEGIN, *_outline(tuple(sorted(tasks, key=_order))), END]
    ours = managed([line.rstrip("\r\n") for line in lines])
    if ours is None:
        gap = "" if not before else end if before.endswith("\n") else end * 2
        return before + gap + "".join(line + end for line in block)
    first, last = ours
    tail = lines[last][len(lines[last].rstrip("\r\n")) :]
    return "".join(lines[:first]) + end.join(block) + tail + "".join(lines[last + 1 :])


def _outline(tasks: tuple[Exported, ...]) -> Iterator[str]:
    """A line for each task, below that of its parent. Of tasks that are their own ancestors the first begins."""
    known = {task.id for task in tasks}
    parents = {task.id: link.task for task in tasks for link in task.links if link.kind is LinkKind.PARENT}
    children: dict[str, list[Exported]] = {}
    for task in tasks:
        above = parents.get(task.id, "")
        children.setdefault(above if above in known else "", []).append(task)
    shown: set[str] = set()
    for start in (*children.get("", []), *tasks):
        waiting = [(start, 0)]
        while waiting:
            task, depth = waiting.pop()
            if task.id not in shown:
                shown.add(task.id)
                yield "  " * min(depth, _DEPTH_LIMIT) + _entry(task)
                waiting += [(child, depth + 1) for child in reversed(children.get(task.id, []))]


def _entry(task: Exported) -> str:
    title = line_of(plain(task.text).strip().partition("\n")[0])
    if len(title) > _TITLE_LIMIT:
        title = title[: _TITLE_LIMIT - 1] + "…"
    shown = re.sub(r"([\\<\[\]])", r"\\\1", title)
    blockers = sorted((_number(link.task), link.task) for link in task.links if link.kind is LinkKind.BLOCKS)
    after = ", after " + ", ".join(line_of(other) for _, other in blockers) if blockers and not task.closed else ""
    return f"- [{'x' if task.closed else ' '}] {line_of(task.id)} {shown} ({line_of(task.status)}{after})"
