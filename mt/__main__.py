"""`python3 -m mt` is `mt`."""

import sys

from mt.cli import main

sys.exit(main(sys.argv[1:]))
