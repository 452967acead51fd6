"""`python -m mprelay`: copy the log to the feed until told to stop.

`python -m mprelay --rebuild`: empty the feed, with the seed of who makes streams.
"""

import sys

from mprelay import main as composition

REBUILD = "--rebuild"


def main(arguments: list[str]) -> int:
    """The exit code: 0 when told to stop, 1 when the world refused, 2 for wrong usage or settings."""
    if arguments not in ([], [REBUILD]):
        sys.stderr.write(f"usage: python -m mprelay [{REBUILD}]\n")
        return 2
    return composition.rebuild() if arguments else composition.run()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
