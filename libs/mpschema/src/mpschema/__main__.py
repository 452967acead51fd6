"""The program `python -m mpschema`, which is that of `mpschema.export`."""

import sys

from mpschema.export import main

sys.exit(main())
