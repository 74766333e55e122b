"""``python -m trajectile``: the command line."""

import sys

from trajectile.scripts.cli import main

if __name__ == "__main__":
    sys.exit(main())
