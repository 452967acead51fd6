"""`python -m mpprojector` folds the log until it is told to stop; `python -m mpprojector migrate` makes its tables."""

import sys

from mpservice.program import dispatch

from mpprojector import main
from mpprojector.spec import SERVICE

if __name__ == "__main__":
    sys.exit(dispatch(SERVICE.package, sys.argv[1:], main.run, {"migrate": main.make_tables}))
