"""`python -m mpkernel`: run one kernel until told to stop."""

import sys

from mpkernel import main as composition


def main(arguments: list[str]) -> int:
    """The exit code: 0 when told to stop, 2 for wrong usage or settings."""
    if arguments:
        sys.stderr.write("usage: python -m mpkernel\n")
        return 2
    return composition.main()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
