"""Whether the rules say what sessions that work side by side need, as a score with the concrete gaps.

The score is the weights of the guidance that is there, of 100, less 10 for each error and 2 for each warning, but at most
30 for either kind; never below 0.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import takewhile

from heddle.core.rules import markdown
from heddle.core.rules.commands import brief, commands
from heddle.core.rules.files import RuleFile, Tree
from heddle.core.rules.findings import Finding, Severity

COST = {Severity.ERROR: 10, Severity.WARNING: 2, Severity.NOTE: 0}

MOST_COST = 30
"""What all findings of one severity cost at most: one folder that is missing can be named a hundred times."""


@dataclass(frozen=True, slots=True)
class Need:
    """Guidance that parallel work needs: `command` is a command that gives it, `says` words of a heading or a pointer that do.

    A heading counts when what follows names something to go by (a command, a path, a link), another line when it points to
    a document, or is the label of a command. `only`: files of which one must be there, else nobody needs it.
    """

    name: str
    weight: int
    why: str
    says: str
    command: str = ""
    only: str = ""


NEEDS = (
    Need(
        "set-up",
        15,
        "each session starts in a fresh workspace",
        r"set.?up|install|dependenc|bootstrap|getting started|prerequisite|environment",
        r"(?:uv|npm|pnpm|yarn|pip|poetry|pdm|bundle|cargo|go|bun|make|just) "
        r"(?:sync|install|ci|fetch|mod|setup|dev|develop|bootstrap|deps|lock)\b",
    ),
    Need(
        "build",
        10,
        "what does not build cannot land, and each session must see that for itself",
        r"\bbuild|compil|packag|bundl",
        r"\S+ \S*build\b|cargo (?:check|nextest)|make$|cmake\b",
        r"(?:.*/)?(?:Cargo\.toml|go\.mod|CMakeLists\.txt|pom\.xml|build\.gradle(?:\.kts)?|meson\.build|package\.json|.*\.csproj)",
    ),
    Need(
        "tests",
        25,
        "a session that cannot check its own work hands its faults to all others",
        r"\btest",
        r"pytest|unittest|tox|nox|ctest|jest|vitest|\S*/tests?\b|\S+ (?:\S+ )?(?:unit|nex)?tests?\b",
    ),
    Need(
        "architecture",
        25,
        "sessions that do not know where a change goes meet in the same files",
        r"architect|structure|layout|where things|organi[sz]|code ?base|(?:project|repository) (?:overview|map|guide)|director"
        r"|source (?:tree|code)|packages\b|modules\b|components\b",
    ),
    Need(
        "lint and format",
        10,
        "changes of form hide changes of substance, and conflict with every neighbour",
        r"\blint|\bformat|code style|\bstyle\b|pre-?commit",
        r"ruff|black|eslint|prettier|clippy|gofmt|golangci|flake8|pre-commit|prek|\S+ (?:lint|fmt|format|check|clippy)\b",
    ),
    Need(
        "limits",
        15,
        "somebody must say what is not to be touched or done",
        r"\bnever\b|do not|don't|must not|forbidden|not allowed|\bavoid\b|out of scope|\bonly\b.*\bnever\b",
    ),
)


@dataclass(frozen=True, slots=True)
class Score:
    """0 to 100, with what made it: a line of reason each."""

    value: int
    reasons: tuple[str, ...]
    gaps: tuple[Need, ...]


def score(files: Sequence[RuleFile], tree: Tree, found: Iterable[Finding]) -> Score:
    """The score of rules that count for the whole repository (`files`), after what was `found` wrong."""
    needed = [need for need in NEEDS if not need.only or any(re.fullmatch(need.only, path) for path in tree.paths)]
    gaps = tuple(need for need in needed if not any(gives(file, need, tree) for file in files))
    value, reasons = 0, []
    for need in NEEDS:
        value += 0 if need in gaps else need.weight
        why = "" if need in needed else ", which nobody needs here"
        reasons.append(f"+{0 if need in gaps else need.weight} of {need.weight}: {need.name}{why}")
    for severity, cost in COST.items():
        count = sum(one.severity is severity for one in found)
        if count and cost:
            off = min(count * cost, MOST_COST)
            value -= off
            reasons.append(f"-{off}: {count} of severity {severity}, {cost} each, {MOST_COST} at most")
    return Score(max(0, value), tuple(reasons), gaps)


def gives(file: RuleFile, need: Need, tree: Tree) -> bool:
    """Whether a file gives the guidance."""
    if need.command and any(re.match(need.command, brief(said.words)) for said in commands((file,))):
        return True
    says = re.compile(f"(?i){need.says}")
    texts = [line for line in markdown.lines(file.text) if line.kind in ("text", "code")]
    for at, line in enumerate(texts):
        if line.kind != "text" or not says.search(line.text):
            continue
        if (
            need.name == "limits"
            or (need.command and _labels(line, says))
            or _points(line, tree)
            or (_is_heading(line) and _followed(texts[at + 1 :], tree))
        ):
            return True
    return False


def _labels(line: markdown.Line, says: re.Pattern[str]) -> bool:
    """Whether a line is a command behind a label: "Set-up: `./dev`"."""
    label, colon, rest = line.text.partition(":")
    return bool(colon and says.search(label)) and bool(markdown.spans(rest))


def _is_heading(line: markdown.Line) -> bool:
    return re.match(r"\s*(?:#{1,6}\s|\*\*[^*]+\*\*:?\s*$)", line.text) is not None


def _followed(texts: list[markdown.Line], tree: Tree) -> bool:
    """Whether something concrete comes before the next heading."""
    part = takewhile(lambda line: not (line.kind == "text" and _is_heading(line)), texts)
    return any(_concrete(line, tree) for line in part)


def _points(line: markdown.Line, tree: Tree) -> bool:
    named = re.findall(r"[\w./-]+\.(?:md|rst|mdx|txt)\b", line.text)
    return any(tree.names(path.removeprefix("./")) for path in named)


def _concrete(line: markdown.Line, tree: Tree) -> bool:
    """Whether a line names something to go by."""
    named = (
        *markdown.spans(line.text),
        *re.findall(r"\]\(([^)#\s]+)\)", line.text),
        *re.findall(r"[\w.-]+/[\w./-]*", line.text),
    )
    paths = (word.strip("./,:") for word in (*named, *re.findall(r"\b[A-Z][\w-]+\.md\b", line.text)))
    return line.kind == "code" or any(tree.names(path) for path in paths if path)
