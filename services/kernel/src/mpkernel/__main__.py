"""`python -m mpkernel`: run one kernel. `python -m mpkernel relay [--rebuild]`: copy the log to the feed."""

import sys

from mpkernel import main, relay_main


def run(arguments: list[str]) -> int:
    """The exit code of what was asked for; 2 for anything else."""
    if not arguments:
        return main.main()
    if arguments[0] == "relay" and arguments[1:] in ([], ["--rebuild"]):
        return relay_main.main(arguments[1:])
    sys.stderr.write("usage: python -m mpkernel [relay [--rebuild]]\n")
    return 2


if __name__ == "__main__":
    sys.exit(run(sys.argv[1:]))
