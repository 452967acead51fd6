"""The aggregate `session`."""
