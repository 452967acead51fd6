"""`mpctl log`: prove that the log is whole, move it, and get it back."""

import click


@click.group()
def log() -> None:
    """Prove that the log is whole, move it, and get it back."""
