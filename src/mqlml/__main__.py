"""``python -m mqlml``."""

from __future__ import annotations

import sys

from mqlml.cli import main

if __name__ == "__main__":
    sys.exit(main())
