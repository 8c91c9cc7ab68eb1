"""Issues of GitHub, in the JSON that `gh issue list --json`, `gh api` (REST and GraphQL) and `--jq '.[]'` print."""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field

from heddle.adapters.trackers.checklist import items
from heddle.adapters.trackers.labels import said
from heddle.adapters.trackers.telling import Found, line_of, not_json, plain, sequence, settled, string, told
from heddle.core.errors import UserError
from heddle.core.links import Link, LinkKind
from heddle.ports.trackers import Listed

HOST = "github.com"

_DEPTH = 8
_WRAPS = ("data", "repository", "issues", "nodes", "items")

_ISSUE = re.compile(
    r"https?://(?P<host>[\w.-]{1,100})(?:/api/v3)?(?:/repos)?/(?P<name>[\w.-]{1,100}/[\w.-]{1,100})/issues/(?P<number>\d{1,9})"
)
_REF = re.compile(
    r"(?P<url>https?://[\w.-]{1,100}/[\w.-]{1,100}/[\w.-]{1,100}/issues/\d{1,9})"
    r"|(?P<name>[\w.-]{1,100}/[\w.-]{1,100})?#(?P<number>\d{1,9})(?!\w|-\w)",
    re.ASCII,
)
_BLOCKED = re.compile(
    r"(?:[-*+] +)?(?:#{1,6} +)?[*_]*(?:blocked by|depends on)\b[*_]*:?[*_]*(?P<rest>.*)", re.IGNORECASE
)
_BETWEEN = re.compile(r"[\s,;&*_]*(?:and\b)?[\s,;&*_]*", re.IGNORECASE)
_BULLET = re.compile(r"^\s*[-*+] +(?:\[[ xX]\] +)?")


@dataclass(slots=True)
class _Issue:
    raw: dict[str, object]
    number: int
    place: str  # what its repository is called in sources: "owner/name", with the host where it is another one
    links: list[Link] = field(default_factory=list)
    children: list[str] = field(default_factory=list)  # that its body lists
    holds: list[str] = field(default_factory=list)  # that it blocks

    @property
    def source(self) -> str:
        return f"github:{self.place}#{self.number}"


def github_tasks(text: str, place: str) -> tuple[Listed, ...]:
    """The issues in that JSON, pull requests left out. An issue without an address is named after `place`.

    Raises UserError.
    """
    issues: list[_Issue] = []
    if not text.strip():
        raise not_json(place, "there is nothing in it")
    for value in _values(text, place):
        issues += [issue for raw in _within(value, place) if (issue := _issue(raw, place)) is not None]
    by_source = {issue.source: issue for issue in issues}
    for issue in issues:
        _link(issue)
    for issue in issues:  # only now, since what an issue tells of itself comes first
        for child in issue.children:
            if child in by_source:
                by_source[child].links.append(Link(LinkKind.PARENT, issue.source))
        for held in issue.holds:
            if held in by_source:
                by_source[held].links.append(Link(LinkKind.BLOCKS, issue.source))
    return settled([Found(_listed(issue)) for issue in issues], place)


def _values(text: str, place: str) -> Iterator[object]:
    """All JSON values of a text: `gh api --paginate` prints one array per page, `--jq '.[]'` one object per line."""
    decoder = json.JSONDecoder()
    at = 0
    while True:
        at += len(text[at : at + 1_000_000]) - len(text[at : at + 1_000_000].lstrip())
        if at >= len(text):
            return
        if text[at].isspace():
            continue
        try:
            value, at = decoder.raw_decode(text, at)
        except RecursionError:
            raise not_json(place, "nested too deeply") from None
        except ValueError as error:
            line = text.count("\n", 0, getattr(error, "pos", at)) + 1
            raise not_json(f"{place}, line {line}", str(error).partition(": line")[0]) from None
        yield value


def _within(value: object, place: str, depth: int = 0) -> Iterator[dict[str, object]]:
    """The issues in arrays, in arrays of pages, and in the answer to a GraphQL query. Raises UserError for anything else."""
    if isinstance(value, list) and depth < _DEPTH:
        for one in value:
            yield from _within(one, place, depth + 1)
    elif isinstance(value, dict) and "number" in value:
        yield value
    elif isinstance(value, dict) and depth < _DEPTH and (inner := [value[key] for key in _WRAPS if key in value]):
        for one in inner:
            yield from _within(one, place, depth + 1)
    else:
        raise not_json(place, f"there is no issue in {json.dumps(value)[:100]}")


def _issue(raw: dict[str, object], place: str) -> _Issue | None:
    """None for a pull request."""
    number = raw["number"]
    if not isinstance(number, int) or isinstance(number, bool) or not 0 < number < 1_000_000_000:
        raise UserError(f"{place}: an issue's number is {number!r:.40}", slug="bad-json", hint=_ANEW)
    address = string(raw.get("html_url")) or string(raw.get("url"))
    if raw.get("pull_request") or "/pull/" in address:
        return None
    found = _ISSUE.fullmatch(address)
    return _Issue(raw, number, _place(found["host"], found["name"]) if found else place)


def _place(host: str, repository: str) -> str:
    """GitHub takes letters of both cases for the same, so a name for ever has one of them."""
    host = host.casefold().removeprefix("www.").removeprefix("api.")
    return (repository if host == HOST else f"{host}/{repository}").casefold()


def _link(issue: _Issue) -> None:
    raw = issue.raw
    for key in ("parent", "trackedInIssues", "parent_issue_url"):
        value = raw.get(key)
        for one in sequence(value) or [value]:
            if parent := _reference(one, issue.place):
                issue.links.append(Link(LinkKind.PARENT, parent))
    for key in ("blockedBy", "blocked_by"):
        told_of = [_reference(one, issue.place) for one in sequence(raw.get(key))]
        issue.links += [Link(LinkKind.BLOCKS, blocker) for blocker in told_of if blocker]
    for key, kept in (("subIssues", issue.children), ("trackedIssues", issue.children), ("blocking", issue.holds)):
        kept += [source for one in sequence(raw.get(key)) if (source := _reference(one, issue.place))]
    body = plain(string(raw.get("body")))
    blockers = blockers_in(body, issue.place)
    issue.links += [Link(LinkKind.BLOCKS, source) for source in blockers]
    issue.children += [source for source in children_in(body, issue.place) if source not in blockers]


def _reference(value: object, place: str) -> str:
    """The source of an issue that JSON refers to; "" when it does not."""
    if isinstance(value, str):
        found = _ISSUE.fullmatch(value)
        return f"github:{_place(found['host'], found['name'])}#{int(found['number'])}" if found else ""
    if not isinstance(value, dict):
        return ""
    if found := _ISSUE.fullmatch(string(value.get("url")) or string(value.get("html_url"))):
        return f"github:{_place(found['host'], found['name'])}#{int(found['number'])}"
    number = value.get("number")
    return f"github:{place}#{number}" if isinstance(number, int) and not isinstance(number, bool) else ""


def blockers_in(body: str, place: str) -> list[str]:
    """What a body says that it is blocked by or depends on: on a line that begins so, or in a list below such a line."""
    found: list[str] = []
    listing, code = False, False
    for line in body.split("\n"):
        if line.lstrip().startswith(("```", "~~~")):
            code = not code
        elif code or not line.strip():
            continue
        elif match := _BLOCKED.fullmatch(line.strip()):
            told_here = _references(match["rest"], place)
            found += told_here
            listing = not told_here and not match["rest"].strip(" :*_")
        elif listing:
            told_here = _references(_BULLET.sub("", line, count=1), place)
            found += told_here
            listing = bool(told_here)
    return found


def children_in(body: str, place: str) -> list[str]:
    """What a body lists with boxes: `- [ ] #12`."""
    if "[" not in body or ("#" not in body and "/issues/" not in body):
        return []
    try:
        found = items(body)
    except UserError:  # an issue that quotes the markers of our block
        return []
    return [source for item in found for source in _references(item.title, place)[:1]]


def _references(text: str, place: str) -> list[str]:
    """The references that a text begins with."""
    found = []
    at = _BETWEEN.match(text)
    while at is not None and (match := _REF.match(text, at.end())):
        if match["url"]:
            found.append(_reference(match["url"], place))
        else:
            found.append(f"github:{(match['name'] or '').casefold() or place}#{int(match['number'])}")
        at = _BETWEEN.match(text, match.end())
    return found


def _listed(issue: _Issue) -> Listed:
    raw = issue.raw
    labels = [
        one if isinstance(one, str) else string(one.get("name"))
        for one in sequence(raw.get("labels"))
        if isinstance(one, str | dict)
    ]
    for key in ("issueType", "type"):
        kind = raw.get(key)
        labels += [string(kind.get("name"))] if isinstance(kind, dict) else []
    word = said(labels)
    return Listed(
        issue.source,
        told(string(raw.get("title")), string(raw.get("body")), instead=f"issue {issue.number}"),
        closed=line_of(string(raw.get("state"))).casefold() == "closed",
        role=word.role,
        lane=word.lane,
        priority=word.priority,
        links=tuple(issue.links),
    )


_ANEW = "export the list anew: gh issue list --state all --json number,title,body,state,labels,url"
