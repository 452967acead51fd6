"""The vocabulary everyone shares: commands, events, rejections, queries, subjects, and their bytes. No behaviour."""
