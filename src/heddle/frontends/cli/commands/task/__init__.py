"""heddle task: one file per verb."""

import argparse
from types import ModuleType

from heddle.frontends.cli.commands.task import (
    add,
    bringing,
    claim,
    close,
    dep,
    edit,
    exporting,
    listing,
    mirroring,
    release,
    show,
)

VERBS: dict[str, ModuleType] = {
    "add": add,
    "list": listing,
    "show": show,
    "edit": edit,
    "dep": dep,
    "claim": claim,
    "release": release,
    "close": close,
    "import": bringing,
    "export": exporting,
    "mirror": mirroring,
}

EXAMPLES = [f"heddle task {example}" for verb in VERBS.values() for example in verb.EXAMPLES]


def arguments(parser: argparse.ArgumentParser) -> None:
    """The words of the command."""
    verbs = parser.add_subparsers(dest="verb", required=True, metavar="VERB")
    for name, verb in VERBS.items():
        line = str(verb.__doc__).partition(": ")[2].rstrip(".")
        made = verbs.add_parser(name, help=line, description=f"{line[:1].upper()}{line[1:]}.", allow_abbrev=False)
        verb.arguments(made)


def run(args: argparse.Namespace) -> int:
    """Whatever the verb does."""
    status: int = VERBS[args.verb].run(args)
    return status
