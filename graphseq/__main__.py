"""``python -m graphseq``: the command line, without the installed script."""

import sys

from graphseq.cli import main

if __name__ == "__main__":
    sys.exit(main())
