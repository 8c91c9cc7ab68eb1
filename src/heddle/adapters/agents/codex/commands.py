"""Which command lines only read. Codex reads files by commands, so a stage that may not write must know them.

What is not understood is not harmless. The words are read as a shell would read them, without any of its expansions but
file names.
"""

import re
import shlex
from collections.abc import Callable, Sequence

LIMIT = 32_000
"""Characters above which a command line is not looked into."""

SHELLS = frozenset(("bash", "sh", "zsh", "dash"))

_SINGLE = r"'[^']*'"
_DOUBLE = r'''"(?:[^"$`\\]|\\[^"$`\\\n])*"'''
_BARE = r"[A-Za-z0-9_./:=@%+,^~*?-]"
_TOKEN = re.compile(
    r"(?P<space>[ \t]+)|(?P<operator>&&|\|\||\||;|\n)|(?P<hushed>2>(?:/dev/null|&1)(?=[ \t\n;|]|$))"
    rf"|(?P<word>(?:{_SINGLE}|{_DOUBLE}|{_BARE})+)"
)
_QUOTED = re.compile(f"{_SINGLE}|{_DOUBLE}")
_LINES = re.compile(r"\d+(?:,(?:\d+|\$))?p")

Check = Callable[[Sequence[str]], bool]


def script_of(command: str) -> str:
    """What is run, without the shell that it is handed to."""
    if len(command) > LIMIT:
        return command
    try:
        words = shlex.split(command)
    except ValueError:
        return command
    if len(words) == 3 and words[0].rpartition("/")[2] in SHELLS and words[1] in ("-lc", "-c"):
        return words[2]
    return command


def reads_only(script: str) -> bool:
    """Whether all that a script runs is known to write nothing and to start nothing else."""
    commands = _commands(script.strip()) if len(script) <= LIMIT else None
    return bool(commands) and all(words and _is_harmless(words) for words in commands or ())


def _commands(script: str) -> list[list[str]] | None:
    """The simple commands with their words; None when something in it is not understood."""
    commands: list[list[str]] = [[]]
    at = 0
    while at < len(script):
        found = _TOKEN.match(script, at)
        if found is None:
            return None
        at = found.end()
        if found["operator"]:
            commands.append([])
        elif found["word"]:
            word = _QUOTED.sub(lambda quoted: quoted[0][1:-1], found["word"])
            if _is_pattern(found["word"]) and not (word[0].isalnum() or word[0] in "./"):
                return None  # a file's name that takes its place may look like an option
            commands[-1].append(word)
    return commands


def _is_pattern(word: str) -> bool:
    """Whether a shell may put the names of files in its place."""
    return any(sign in _QUOTED.sub("", word) for sign in "*?")


def _is_harmless(words: Sequence[str]) -> bool:
    check = _KNOWN.get(words[0])
    return check is not None and check(words[1:])


def _any(args: Sequence[str]) -> bool:
    return True


def _without(*forbidden: str) -> Check:
    """No argument begins with one of these."""
    return lambda args: not any(arg.startswith(forbidden) for arg in args)


def _options(*allowed: str) -> Check:
    """No arguments but these."""
    return lambda args: all(arg in allowed for arg in args)


def _sed(args: Sequence[str]) -> bool:
    """Nothing but printing lines."""
    return len(args) >= 2 and args[0] == "-n" and bool(_LINES.fullmatch(args[1])) and _plain(args[2:])


def _plain(args: Sequence[str]) -> bool:
    return not any(arg.startswith("-") for arg in args)


def _sort(args: Sequence[str]) -> bool:
    return all(not arg.startswith("-") or re.fullmatch("-[bdfhnruV]+", arg) is not None for arg in args)


def _git(args: Sequence[str]) -> bool:
    rest = list(args)
    while rest[:1] == ["--no-pager"]:
        rest.pop(0)
    if not rest or rest[0] not in _GIT:
        return False
    return not any(arg.startswith(_GIT_OTHERWISE) or _GIT_PAGER.match(arg) for arg in rest[1:])


_GIT = frozenset(
    ("status", "log", "show", "diff", "blame", "grep", "ls-files", "ls-tree", "rev-parse", "cat-file", "shortlog")
)

_GIT_OTHERWISE = ("--ou", "--op", "--ext", "--textc", "--fi", "--exec")
"""Options that write a file or start a program, by the least of them that git takes for the whole."""

_GIT_PAGER = re.compile("-[A-Za-z]*O")
"""It starts what is named after it, also among other letters."""

_KNOWN: dict[str, Check] = {
    **dict.fromkeys(("cat", "head", "tail", "wc", "nl", "ls", "pwd", "stat", "du", "cd", "true", "echo"), _any),
    **dict.fromkeys(("basename", "dirname", "realpath", "grep", "egrep", "fgrep", "cut", "tr", "cmp", "which"), _any),
    "diff": _any,
    "find": _without("-exec", "-ok", "-delete", "-fls", "-fprint"),
    "git": _git,
    "rg": _without("--pre", "--hostname-bin", "-z", "--search-zip"),
    "sed": _sed,
    "sort": _sort,
    "uniq": _options("-c", "-d", "-u", "-i"),
}
