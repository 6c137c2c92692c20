"""Run netlab as `python -m netlab`."""

import sys

from netlab.cli import main

sys.exit(main())
