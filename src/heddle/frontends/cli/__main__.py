"""`python -m heddle.frontends.cli`."""

import sys

from heddle.frontends.cli import main

sys.exit(main())
