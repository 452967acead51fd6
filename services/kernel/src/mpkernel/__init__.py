"""The only writer of events: commands in, decided facts out."""
