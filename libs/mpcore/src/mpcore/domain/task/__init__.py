"""The aggregate `task`."""
