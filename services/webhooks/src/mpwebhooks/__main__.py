"""`python -m mpwebhooks` delivers until it is told to stop."""

import sys

from mpservice.settings import read_settings

from mpwebhooks import main as composition
from mpwebhooks.settings import WebhooksSettings


def main() -> int:
    """Exit code: 0 when told to stop, 1 when the world refused, 2 for wrong settings."""
    return composition.run(read_settings(WebhooksSettings))


if __name__ == "__main__":
    sys.exit(main())
