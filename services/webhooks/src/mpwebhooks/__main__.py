"""`python -m mpwebhooks`: deliver until told to stop."""

import sys

from mpservice.program import dispatch

from mpwebhooks import main
from mpwebhooks.spec import SERVICE

if __name__ == "__main__":
    sys.exit(dispatch(SERVICE.package, sys.argv[1:], main.run))
