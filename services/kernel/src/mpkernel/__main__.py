"""`python -m mpkernel`: run one kernel. `python -m mpkernel relay`: copy the log to the feed.

`python -m mpkernel relay --rebuild`: empty the feed, with the seed of who makes streams.
"""

import sys


def run(arguments: list[str]) -> int:
    """The exit code of what was asked for; 2 for anything else."""
    # Each imports what it is made of alone: what is imported is exported, figures too.
    if not arguments:
        from mpkernel import main

        return main.main()
    if arguments[0] == "relay" and arguments[1:] in ([], ["--rebuild"]):
        from mpkernel import relay_main

        return relay_main.main(arguments[1:])
    sys.stderr.write("usage: python -m mpkernel [relay [--rebuild]]\n")
    return 2


if __name__ == "__main__":
    sys.exit(run(sys.argv[1:]))
