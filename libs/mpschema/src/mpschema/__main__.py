"""`python -m mpschema` writes the generated documents, as `python -m mpschema.export` does."""

import sys

from mpschema.export import main

sys.exit(main())
