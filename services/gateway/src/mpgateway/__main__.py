"""`python -m mpgateway`: settings from the environment, SIGTERM ends it gracefully."""

import sys

from mpgateway.main import main

if __name__ == "__main__":
    sys.exit(main())
