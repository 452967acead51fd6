"""`python -m mpd` is `mpd`."""

from mpd.cli import main

if __name__ == "__main__":
    main()
