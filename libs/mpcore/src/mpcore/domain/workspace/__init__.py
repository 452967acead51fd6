"""The aggregate `workspace`."""
