"""`python -m heddle.server`: the daemon as a process."""

import sys

from heddle.server.daemon import main

sys.exit(main())
