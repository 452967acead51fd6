"""`python -m mprelay`: copy the log to the feed until told to stop.

`python -m mprelay --rebuild`: empty the feed, with the seed of who makes streams.
"""

import sys

from mpservice.program import dispatch

from mprelay import main
from mprelay.spec import SERVICE

if __name__ == "__main__":
    sys.exit(dispatch(SERVICE.package, sys.argv[1:], main.run, {"--rebuild": main.rebuild}))
