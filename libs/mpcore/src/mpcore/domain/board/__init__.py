"""The aggregate `board`."""
