"""Shared parts of the tests: waiting with a bound, and the real servers as fixtures (`plugin`)."""

from tests.support.database import Database
from tests.support.waiting import eventually, eventually_sync

__all__ = ["Database", "eventually", "eventually_sync"]
