"""The views: pure functions from a commit to row changes, one projection a file."""

from importlib import import_module

from mpschema.registry import VOCABULARIES

from mpviews.changes import View

OF_THE_LOG = ("archive", "commands")
"""The projections of whatever is in the log."""


def _view(projection: str) -> View:
    found = import_module(f"mpviews.{projection}").VIEW
    assert isinstance(found, View)
    return found


_OF_AGGREGATES = dict.fromkeys(words.projection or words.plural for words in VOCABULARIES)
VIEWS: dict[str, View] = {name: _view(name) for name in (*OF_THE_LOG, *_OF_AGGREGATES)}
"""Every projection by its name."""
