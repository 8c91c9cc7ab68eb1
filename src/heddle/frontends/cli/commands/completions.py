"""heddle completions"""

import argparse
from dataclasses import dataclass

from heddle.frontends.cli.output import say
from heddle.frontends.cli.table import COMMANDS

EXAMPLES = [
    'eval "$(heddle completions bash)"',
    "heddle completions zsh > ~/.zfunc/_heddle",
    "heddle completions fish > ~/.config/fish/completions/heddle.fish",
]

TASKS = """heddle status --json --all 2>/dev/null | grep -o '"id":"T[0-9]*"' | cut -d'"' -f4"""
"""Task ids at the cost of the cheapest read there is."""


@dataclass(frozen=True, slots=True)
class Words:
    """What may follow a command: fixed words (its verbs), whether a task may, and its options."""

    verbs: tuple[str, ...]
    tasks: bool
    options: tuple[str, ...]


def arguments(parser: argparse.ArgumentParser) -> None:
    """The words of the command."""
    parser.add_argument("shell", choices=("bash", "zsh", "fish"))


def run(args: argparse.Namespace) -> int:
    """The script for a shell."""
    say(*{"bash": _bash, "zsh": _zsh, "fish": _fish}[args.shell]())
    return 0


def words() -> dict[str, Words]:
    """What may follow each command, told by its parser."""
    from heddle.frontends.cli.program import build_parser

    return {name: _words(parser) for name, parser in build_parser().items()}


def _words(parser: argparse.ArgumentParser) -> Words:
    plain = [action for action in parser._actions if not action.option_strings]
    shown = [action for action in parser._actions if action.help != argparse.SUPPRESS]
    below = [_words(verb) for action in plain if isinstance(action.choices, dict) for verb in action.choices.values()]
    options = {action.option_strings[-1] for action in shown if action.option_strings}
    return Words(
        verbs=tuple(str(choice) for action in plain for choice in action.choices or ()),
        tasks=any("TASK" in str(action.metavar) for action in plain) or any(verb.tasks for verb in below),
        options=tuple(sorted(options.union(*(verb.options for verb in below)))),
    )


def _bash() -> list[str]:
    cases = [f'    {name}) words="{" ".join((*known.verbs, *known.options))}" ;;' for name, known in words().items()]
    with_tasks = "|".join(name for name, known in words().items() if known.tasks)
    return [
        "_heddle() {",
        '  local words="" word="${COMP_WORDS[COMP_CWORD]}" command="${COMP_WORDS[1]}"',
        "  COMPREPLY=()",
        '  if [ "$COMP_CWORD" -eq 1 ]; then',
        f'    COMPREPLY=($(compgen -W "{" ".join(COMMANDS)}" -- "$word")); return',
        "  fi",
        '  case "$command" in',
        *cases,
        "  esac",
        '  case "$command:$word" in',
        f'    {_each(with_tasks, ":T*")}|{_each(with_tasks, ":")}) words="$words $({TASKS})" ;;',
        "  esac",
        '  COMPREPLY=($(compgen -W "$words" -- "$word"))',
        "}",
        "complete -o default -F _heddle heddle",
    ]


def _each(names: str, tail: str) -> str:
    return "|".join(f"{name}{tail}" for name in names.split("|"))


def _zsh() -> list[str]:
    commands = [f"    {_quoted(f'{name}:{line}')}" for name, line in COMMANDS.items()]
    cases = []
    for name, known in words().items():
        tasks = f' ${{(f)"$({TASKS})"}}' if known.tasks else ""
        cases.append(f"    {name}) compadd -- {' '.join((*known.verbs, *known.options))}{tasks} ;;")
    return [
        "#compdef heddle",
        "_heddle() {",
        "  local -a commands; commands=(",
        *commands,
        "  )",
        "  if (( CURRENT == 2 )); then _describe command commands; return; fi",
        '  case "$words[2]" in',
        *cases,
        "  esac",
        "  _files",
        "}",
        "compdef _heddle heddle",
    ]


def _fish() -> list[str]:
    lines = [f"complete -c heddle -n __fish_use_subcommand -f -a {n} -d {_quoted(h)}" for n, h in COMMANDS.items()]
    for name, known in words().items():
        after = f"complete -c heddle -n '__fish_seen_subcommand_from {name}'"
        if known.verbs:
            lines.append(f"{after} -f -a '{' '.join(known.verbs)}'")
        if known.tasks:
            lines.append(f"{after} -f -a {_quoted(f'({TASKS})')}")
        lines += [f"{after} -l {option.removeprefix('--')}" for option in known.options]
    return lines


def _quoted(text: str) -> str:
    """A word in single quotes, as zsh and fish read it."""
    return "'" + text.replace("'", "'\"'\"'") + "'"
