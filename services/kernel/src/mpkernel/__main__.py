"""`python -m mpkernel`: run one kernel."""

import sys

from mpkernel.main import main

if __name__ == "__main__":
    sys.exit(main())
