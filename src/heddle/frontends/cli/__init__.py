"""The command line: one module per command, imported only when it is asked for."""

import sys


def main(argv: list[str] | None = None) -> int:
    """Run one command; returns the exit status."""
    args = sys.argv[1:] if argv is None else argv
    if "status" in args and set(args) <= {"status", "--json", "--all"} and "--json" in args:
        # polled by scripts and completions: nothing that is not needed is imported
        from heddle.frontends.cli.quick import status

        return status(all="--all" in args)
    from heddle.frontends.cli.program import run

    return run(args)
