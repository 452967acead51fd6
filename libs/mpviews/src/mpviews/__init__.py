"""The views: pure functions from a commit to row changes, one projection a file."""

from mpviews import archive, channels, commands, directory, sessions, webhooks, work
from mpviews.changes import View

VIEWS: dict[str, View] = {
    module.VIEW.name: module.VIEW for module in (archive, commands, directory, work, sessions, channels, webhooks)
}
"""Every projection by its name."""
