"""`python -m heddle.rehearsal.terminal SESSION`: the rehearsal agent's own screen, for whoever takes a session over."""

import subprocess
import sys
from pathlib import Path

HELP = "write PATH TEXT, run COMMAND, quit"


def main() -> int:
    """Until the person leaves."""
    sys.stdout.write(f"rehearsal, session {sys.argv[1]}: {HELP}\n> ")
    sys.stdout.flush()
    for line in sys.stdin:
        words = line.strip().split(" ", 2)
        if words[0] in ("quit", "exit"):
            break
        sys.stdout.write(f"{obey(words)}\n> ")
        sys.stdout.flush()
    return 0


def obey(words: list[str]) -> str:
    """One line of the person's; what to say to it."""
    match words:
        case ["write", path, text]:
            try:
                Path(path).write_text(f"{text}\n")
            except OSError as error:
                return f"cannot write {path}: {error.strerror}"
            return f"wrote {path}"
        case ["run", *command] if command:
            argv = ["/bin/sh", "-c", " ".join(command)]
            done = subprocess.run(argv, capture_output=True, text=True, errors="replace", check=False)
            return f"{done.stdout}{done.stderr}status {done.returncode}"
        case _:
            return HELP


if __name__ == "__main__":
    sys.exit(main())
