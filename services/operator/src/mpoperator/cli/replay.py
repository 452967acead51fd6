"""`mpctl replay`: fold the log again and compare what comes out."""

import click


@click.group()
def replay() -> None:
    """Fold the log again and compare what comes out."""
