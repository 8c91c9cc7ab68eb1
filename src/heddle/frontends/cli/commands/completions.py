"""heddle completions"""

import argparse

from heddle.frontends.cli.output import say
from heddle.frontends.cli.table import COMMANDS

EXAMPLES = ['eval "$(heddle completions bash)"', "heddle completions fish > ~/.config/fish/completions/heddle.fish"]


def arguments(parser: argparse.ArgumentParser) -> None:
    """The words of the command."""
    parser.add_argument("shell", choices=("bash", "zsh", "fish"))


def run(args: argparse.Namespace) -> int:
    """The script for a shell."""
    names = " ".join(COMMANDS)
    if args.shell == "fish":
        say(
            "complete -c heddle -f",
            *(f"complete -c heddle -n __fish_use_subcommand -a {n} -d '{h}'" for n, h in COMMANDS.items()),
        )
    elif args.shell == "zsh":
        say(
            "#compdef heddle",
            f"_heddle() {{ _arguments '1:command:({names})' '*:file:_files' }}",
            "compdef _heddle heddle",
        )
    else:
        say(
            "_heddle() {",
            '  if [ "$COMP_CWORD" -eq 1 ]; then',
            f'    COMPREPLY=($(compgen -W "{names}" -- "${{COMP_WORDS[1]}}"))',
            "  fi",
            "}",
            "complete -o default -F _heddle heddle",
        )
    return 0
