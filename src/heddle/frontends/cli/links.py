"""The words that say how a task hangs together with others."""

import argparse

KINDS = {"blocked_by": "blocks", "parent": "parent", "found_in": "discovered-from"}
"""The option that adds a link -> what the named task is to the one at hand."""


def add_options(parser: argparse.ArgumentParser) -> None:
    """`--blocked-by`, `--parent` and `--found-in`, each as often as there are such tasks."""
    told = {"blocked_by": "what must land first", "parent": "what it is a part of", "found_in": "where it turned up"}
    for name, line in told.items():
        flag = f"--{name.replace('_', '-')}"
        parser.add_argument(flag, action="append", default=[], metavar="TASK", help=line)


def asked(args: argparse.Namespace) -> list[dict[str, str]]:
    """The links that those options name, as the API takes them."""
    return [{"kind": kind, "task": task} for name, kind in KINDS.items() for task in getattr(args, name)]


def told(links: list[dict[str, str]]) -> str:
    """Links in words: "blocked by T3, part of T1"."""
    words = {"blocks": "blocked by", "parent": "part of", "discovered-from": "found in"}
    return ", ".join(f"{words[link['kind']]} {link['task']}" for link in links)
