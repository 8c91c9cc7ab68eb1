"""Commands that rules name and that cannot run: only what is certain from the repository's own files. Nothing is executed."""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache

from heddle.core.rules import markdown
from heddle.core.rules.files import RuleFile, Tree, joined
from heddle.core.rules.findings import Finding, Severity
from heddle.core.rules.references import is_markdown, is_path, may_be_absent, may_be_made

SHELLS = frozenset(("", "sh", "bash", "shell", "console", "zsh", "shell-session", "terminal"))
_ASSIGNED = re.compile(r"[A-Za-z_]\w*=")
_WORD = re.compile(r"(?:\"[^\"]*\"|'[^']*'|\\.|[^\s\"'\\])+")
_NAME = re.compile(r"[A-Za-z0-9][\w:./-]*")
_WRAPPERS = (
    "uv run",
    "poetry run",
    "pdm run",
    "hatch run",
    "pipenv run",
    "rye run",
    "sudo",
    "time",
    "npx",
    "uvx",
    "pnpx",
)
_OPTION_WITH_VALUE = frozenset(
    ("--python", "--group", "--extra", "--package", "--with", "--directory", "--project", "-p")
)
_SCRIPTS = re.compile(r"\.(?:sh|bash|py|js|mjs|cjs|ts|rb|pl|ps1)$")
_INTERPRETERS = frozenset(("python", "python3", "bash", "sh", "zsh", "node", "ruby", "perl"))


@dataclass(frozen=True, slots=True)
class Said:
    """A command that a file names: its words without what only surrounds them (environment, `uv run`).

    `sure`: it is meant to be run as it stands, and is no mere mention or drawing. `fenced`: it stands in a shell's fence.
    `made`: what it begins may be made by another command.
    """

    path: str
    line: int
    words: tuple[str, ...]
    sure: bool = True
    fenced: bool = False
    made: bool = False

    @property
    def shown(self) -> str:
        """As a person would read it."""
        return " ".join(self.words)


def commands(files: Iterable[RuleFile]) -> tuple[Said, ...]:
    """Every command in code spans, and in fences that are of a shell or of nothing."""
    return tuple(one for file in files if is_markdown(file.path) for one in said_by(file))


@lru_cache(maxsize=256)
def said_by(file: RuleFile) -> tuple[Said, ...]:
    """Every command of one file."""
    return tuple(_of(file))


def _of(file: RuleFile) -> Iterator[Said]:
    for line in markdown.lines(file.text):
        fenced = line.kind == "code" and bool(line.language)
        if line.kind == "code" and line.language in SHELLS:
            texts: tuple[str, ...] = (line.text.strip(),)
            sure = fenced or texts[0].startswith("$ ")
        else:
            texts = markdown.spans(line.text) if line.kind == "text" else ()
            sure = not may_be_absent(line.text)
        for text in texts:
            for part in re.split(r"&&|\|\|?|;", text.removeprefix("$ ")):
                words = words_of(part)
                if words:
                    yield Said(
                        file.path, line.number, words, sure, fenced, line.kind == "text" and may_be_made(line.text)
                    )


def words_of(text: str) -> tuple[str, ...]:
    """The words of one simple command; none when it is no such thing."""
    words = [re.sub(r"[\"'\\]", "", word) for word in _WORD.findall(re.split(r"(?:^|\s)#", text)[0])]
    if text.count('"') % 2 or text.count("'") % 2:
        return ()
    while words and _ASSIGNED.match(words[0]):
        words.pop(0)
    for wrapper in (one.split() for one in _WRAPPERS):
        if words[: len(wrapper)] == wrapper:
            words = _after_options(words[len(wrapper) :])
            break
    if words[:1] in (["-m"], ["--"]):
        words = words[1:]
    if len(words) > 2 and re.fullmatch(r"python[\d.]*", words[0]) and words[1] == "-m":
        words = words[2:]
    return tuple(words)


_MANAGERS = frozenset(("npm", "pnpm", "yarn", "bun"))
_MANAGER_VALUES = frozenset(("--filter", "-F", "-C", "--dir", "--cwd", "-w", "--workspace", "--prefix"))


def brief(words: tuple[str, ...]) -> str:
    """A command without its options, and without the `run` of package managers: "pnpm test", "make lint"."""
    left, kept = list(words), []
    while left:
        word = left.pop(0)
        if word in _MANAGER_VALUES and words[0] in _MANAGERS:
            left = left[1:]
        elif not word.startswith("-") and not (word in ("run", "run-script") and words[0] in _MANAGERS):
            kept.append(word)
    return " ".join(kept)


def _after_options(words: list[str]) -> list[str]:
    while words and words[0].startswith("-") and words[0] not in ("-m", "--"):
        words = words[2:] if words[0] in _OPTION_WITH_VALUE else words[1:]
    return words


def scripts(files: Iterable[RuleFile]) -> tuple[tuple[Said, str], ...]:
    """Every command that begins a script of the repository, with the script as it is written."""
    found = ((said, _script(said)) for said in commands(files) if said.sure and not said.made)
    return tuple((said, script) for said, script in found if script)


def _script(said: Said) -> str:
    words = said.words
    begun = words[0] in _INTERPRETERS and len(words) > 1
    named = words[1] if begun else words[0]
    run = begun or said.fenced or named.startswith("./")
    return named if run and is_path(named) and _SCRIPTS.search(named) else ""


def script_places(said: Said, script: str) -> tuple[str, ...]:
    """Where in the repository that script may be."""
    folder = said.path.rpartition("/")[0]
    return tuple(dict.fromkeys(filter(None, (joined("", script), joined(folder, script)))))


def dead(files: Iterable[RuleFile], tree: Tree) -> Iterator[Finding]:
    """What is to be said of commands that cannot run here."""
    files = tuple(files)
    for said, script in scripts(files):
        if tree.whole and not any(tree.names(place) for place in script_places(said, script)):
            yield _finding(said, f"there is no '{script}'")
    for said in commands(files):
        why = _why_dead(said.words, tree) if tree.whole and said.sure else ""
        if why:
            yield _finding(said, why)


def _finding(said: Said, why: str) -> Finding:
    text = f"says '{said.shown[:80]}', but {why}"
    return Finding("dead-command", Severity.WARNING, said.path, said.line, text, "name a command that runs here")


def _why_dead(words: tuple[str, ...], tree: Tree) -> str:
    match words:
        case ["make", name, *_] if _NAME.fullmatch(name) and name not in tree.paths:
            return _without(name, _targets(tree), "no Makefile has such a target")
        case ["npm" | "pnpm", "run" | "run-script", name, *rest] if (
            _NAME.fullmatch(name) and "--if-present" not in rest
        ):
            return _without(name, _package_scripts(tree), "no package.json has such a script")
        case ["npm", "test"]:
            return _without("test", _package_scripts(tree), "no package.json has such a script")
        case ["just", name, *_] if _NAME.fullmatch(name):
            return _without(name, _recipes(tree), "no justfile has such a recipe")
        case ["tox", "-e", name, *_] if re.fullmatch(r"[a-z][a-z_]*", name) and not re.match(r"py\d*$|pypy", name):
            return _without(
                name,
                _words_in(tree, r"tox\.ini|tox\.toml|setup\.cfg|pyproject\.toml"),
                "no tox environment has that name",
            )
        case ["nox", "-s", name, *_] if re.fullmatch(r"[a-z]\w*", name):
            return _without(name, _words_in(tree, r"noxfile\.py"), "no nox session has that name")
    return ""


def _without(name: str, known: frozenset[str] | None, why: str) -> str:
    """`why`, when it is certain that the name is not among those known; `known` is None where nobody can know."""
    return why if known is not None and name not in known else ""


def _texts(tree: Tree, names: str) -> list[str]:
    return [text for path, text in tree.builds.items() if re.fullmatch(names, path.rpartition("/")[2])]


_MADE_ELSEWHERE = re.compile(
    r"(?:.*/)?(?:CMakeLists\.txt|configure(?:\.ac|\.in)?|Makefile\.(?:am|in|PL)|meson\.build|GNUmakefile\.in|.*\.mk)"
)


def _targets(tree: Tree) -> frozenset[str] | None:
    """Every target of every Makefile; None when some are made in ways that are not read here."""
    if any(_MADE_ELSEWHERE.fullmatch(path) for path in tree.paths):
        return None
    found: set[str] = set()
    for text in _texts(tree, r"GNUmakefile|[Mm]akefile"):
        if re.search(r"(?m)^-?s?include\b|^[^\t\n#=]*[%$][^=\n]*:(?!=)|^\$\(eval|^\.DEFAULT\s*:", text):
            return None
        for line in re.findall(r"(?m)^([^\t\n#=:][^=:\n]*)::?(?!=)", text.replace("\\\n", " ")):
            found.update(line.split())
    return frozenset(found)


def _package_scripts(tree: Tree) -> frozenset[str] | None:
    found: set[str] = set()
    for text in _texts(tree, r"package\.json"):
        found.update(re.findall(r'"([^"\s]+)"\s*:', text))
    return frozenset(found)


def _recipes(tree: Tree) -> frozenset[str] | None:
    found: set[str] = set()
    for text in _texts(tree, r"[Jj]ustfile|\.justfile"):
        if re.search(r"(?m)^(?:import|mod)\b|^set fallback", text):
            return None
        found.update(re.findall(r"(?m)^@?([A-Za-z_][\w-]*)(?:\s[^\n]*?)?:(?!=)", text))
        found.update(re.findall(r"(?m)^alias\s+([\w-]+)", text))
    return frozenset(found)


def _words_in(tree: Tree, names: str) -> frozenset[str] | None:
    return frozenset(word for text in _texts(tree, names) for word in re.findall(r"[A-Za-z_]\w*", text))
