"""The aggregate `principal`."""
