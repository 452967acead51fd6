"""The aggregate `channel`."""
