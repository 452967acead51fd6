"""How commands become commits, and commits state, for whichever aggregates there are."""
