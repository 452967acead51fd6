"""`python -m mpwebhooks` delivers until it is told to stop."""

import sys

from pydantic import ValidationError

from mpwebhooks import main as composition
from mpwebhooks.settings import WebhooksSettings


def main() -> int:
    """Exit code: 0 when told to stop, 1 when the world refused, 2 for wrong settings."""
    try:
        settings = WebhooksSettings()
    except ValidationError as error:
        sys.stderr.write(f"settings: {error}\n")
        return 2
    return composition.run(settings)


if __name__ == "__main__":
    sys.exit(main())
