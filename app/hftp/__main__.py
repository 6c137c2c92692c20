"""`python -m hftp`."""

import sys

from hftp.cli import main

if __name__ == "__main__":
    sys.exit(main())
