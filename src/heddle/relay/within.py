"""`python -I -m heddle.relay.within FOLDER COMMAND...`: become the command, started in that folder.

For programs that obey what lies where they are started, and must not be started where an agent works.
"""

import os
import sys


def main() -> int:
    """Never returns when all is well."""
    folder, *command = sys.argv[1:]
    try:
        os.chdir(folder)
        os.execvp(command[0], command)
    except OSError as error:
        sys.stderr.write(f"'{command[0]}': {error.strerror}\n")
    return 127


if __name__ == "__main__":
    sys.exit(main())
