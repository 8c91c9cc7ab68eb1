"""Paths that rules name and that are not there. Told only where it is certain: a rule may also speak of what is yet to be
made, of another repository, or of an example.
"""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from heddle.core.rules import markdown
from heddle.core.rules.files import RuleFile, Tree, joined
from heddle.core.rules.findings import Finding, Severity

_LINK = re.compile(r"(?<!!)\[[^\]]*\]\(\s*<?([^)\s>]+)>?(?:\s+[\"'(][^)]*)?\)")
_PATH = re.compile(r"(?:\.{1,2}/)?[\w@.-]+(?:/[\w@.+-]+)+/?")
_EXTENSION = re.compile(r"\.[a-z][a-z0-9]{0,5}$")
_SCHEME = re.compile(r"[a-zA-Z][a-zA-Z0-9+.-]*:")

_PLACEHOLDER = re.compile(
    r"(?i)(?:^|[/_.-])(?:foo|bar|baz|qux|my|your|some|example|examples|sample|xxx+|name|new|path|to|module|feature|file"
    r"|filename|package|x|y|n|nnnn?|todo|yyyy|mm|dd|component|bug|issue|version|topic|owner|repo|user|org|branch)s?(?:[/_.-]|$)"
)
"""Parts of a path that stand for something else."""

_TO_COME = re.compile(
    r"(?i)\b(?:create[sd]?|creating|add(?:s|ing)?|new|e\.g|example|such as|like|if (?:it|they|there)|when present|optional\w*"
    r"|removed?|deleted?|gone|legacy|old|former\w*|deprecated|instead of|not exist|missing|rename\w*|would|will be"
    r"|upstream|external|sibling|(?:that|other|another|separate) repo\w*|repo's)\b|→|->|\.\.\."
)
"""Words beside a name that may mean that it is no longer there, or not yet, or not here."""

_MADE = re.compile(
    r"(?i)\b(?:generate\w*|written|writes?|outputs?|build\w*|download\w*|install\w*|copy|copies|moved?|template"
    r"|save\w*|store\w*|ignored|untracked|private|local|temporary|cache\w*|before|mkdir|touch)\b"
)
"""Words beside a path that may mean that a command makes it."""


_ELSEWHERE = re.compile(r"\.\./|\.(?!github/|/)")
"""How paths begin that may be of a neighbour, or of the folder of whoever uses the program."""


@dataclass(frozen=True, slots=True)
class Reference:
    """A path as it is `written` at a line, and the `places` in the repository that it may mean."""

    path: str
    line: int
    written: str
    kind: str
    places: tuple[str, ...]


def references(files: Iterable[RuleFile]) -> tuple[Reference, ...]:
    """Every path that the files name as something that is there."""
    return tuple(one for file in files if is_markdown(file.path) for one in _of(file))


def is_markdown(path: str) -> bool:
    """Whether the file is prose."""
    return path.endswith((".md", ".mdc", ".cursorrules"))


def _of(file: RuleFile) -> Iterator[Reference]:
    folder = file.path.rpartition("/")[0]
    for line, named in markdown.imports(file.text):
        if re.search(r"\.(?:md|txt)$", named) and not named.startswith(("/", "~")):
            yield Reference(file.path, line, f"@{named}", "import", _places(named, folder, from_top=False))
    for one in markdown.lines(file.text):
        if one.kind != "text":
            continue
        for named in _LINK.findall(markdown.bare(one.text)):
            yield from _link(file.path, one.number, named, folder)
        if not may_be_absent(one.text) and not may_be_made(one.text):
            for named in markdown.spans(one.text):
                if is_path(named) and not _ELSEWHERE.match(named):
                    yield Reference(file.path, one.number, named, "path", _places(named, folder))


def _link(path: str, line: int, written: str, folder: str) -> Iterator[Reference]:
    named = re.split(r"[#?]", written)[0]
    if named and not _SCHEME.match(named) and not re.search(r"[<>{}*$%\\|]", named) and not named.startswith("//"):
        yield Reference(path, line, written, "link", _places(named.lstrip("/"), folder))


def may_be_absent(line: str) -> bool:
    """Whether a line speaks, beside what it names, of what may not be here, or not yet."""
    return _TO_COME.search(markdown.bare(line)) is not None


def may_be_made(line: str) -> bool:
    """Whether a line speaks, beside what it names, of files that commands make."""
    return _MADE.search(markdown.bare(line)) is not None


def is_path(text: str) -> bool:
    """Whether a text in a code span is surely meant as the path of one file that is there."""
    bare = re.sub(r":\d+(?:[-:]\d+)?$", "", text)
    return bool(_PATH.fullmatch(bare) and _EXTENSION.search(bare)) and not _PLACEHOLDER.search(bare)


def _places(written: str, folder: str, *, from_top: bool = True) -> tuple[str, ...]:
    named = re.sub(r":\d+(?:[-:]\d+)?$", "", written)
    places = (joined(folder, named), *((joined("", named),) if from_top else ()))
    return tuple(dict.fromkeys(place for place in places if place))


def dead(reference: Reference, tree: Tree) -> Finding | None:
    """What is to be said of a reference that leads nowhere; None when it leads somewhere, or may."""
    if not reference.places or any(tree.names(place) for place in reference.places):
        return None
    told = f"names '{reference.written}', and there is no such file"
    if reference.kind == "import":
        text, remedy = f"imports '{reference.written}', and there is no such file", "name what is there"
        return Finding("dead-import", Severity.ERROR, reference.path, reference.line, text, remedy)
    if reference.kind == "link":
        return Finding("dead-path", Severity.WARNING, reference.path, reference.line, told, "mend the link")
    if not any(place.split("/")[0] in tree.folders for place in reference.places):
        return None  # of nothing that is here: it may be somebody else's
    remedy = "name what is there, or say that it is yet to be made"
    return Finding("dead-path", Severity.WARNING, reference.path, reference.line, told, remedy)


def all_dead(files: Iterable[RuleFile], tree: Tree) -> Iterator[Finding]:
    """What is to be said of all references; of a folder that is not there only once in each file, with the count."""
    found = [(one, finding) for one in references(files) if (finding := dead(one, tree))]
    lost: dict[tuple[str, str], list[Reference]] = {}
    for one, finding in found:
        folder = one.places[-1].rpartition("/")[0]
        if finding.slug == "dead-path" and folder and not tree.names(folder):
            lost.setdefault((one.path, folder), []).append(one)
        else:
            yield finding
    for (path, folder), all in lost.items():
        more = f" (and names it {len(all) - 1} more times)" if len(all) > 1 else ""
        text = f"names '{all[0].written}', and there is no folder '{folder}'{more}"
        yield Finding("dead-path", Severity.WARNING, path, all[0].line, text, "name what is there")
