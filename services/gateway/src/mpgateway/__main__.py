"""`python -m mpgateway`: serve HTTP until told to stop; SIGTERM ends it gracefully."""

import sys

from mpservice.program import dispatch

from mpgateway import main
from mpgateway.spec import SERVICE

if __name__ == "__main__":
    sys.exit(dispatch(SERVICE.package, sys.argv[1:], main.main))
