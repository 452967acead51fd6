"""The log proved, moved, mended and put back."""
