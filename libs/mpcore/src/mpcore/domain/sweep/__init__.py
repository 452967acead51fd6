"""The aggregate `sweep`."""
