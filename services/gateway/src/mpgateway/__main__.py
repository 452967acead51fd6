"""`python -m mpgateway`: settings from the environment, SIGTERM ends it gracefully."""

from mpgateway.main import main

if __name__ == "__main__":
    main()
