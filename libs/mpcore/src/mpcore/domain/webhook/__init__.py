"""The aggregate `webhook`."""
