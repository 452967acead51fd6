"""`python -m mpkernel`: run one kernel until told to stop."""

import sys

from mpservice.program import dispatch

from mpkernel import main
from mpkernel.spec import SERVICE

if __name__ == "__main__":
    sys.exit(dispatch(SERVICE.package, sys.argv[1:], main.main))
