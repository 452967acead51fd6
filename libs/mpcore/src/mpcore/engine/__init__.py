"""The way from commands to commits, and from commits to state, for whichever aggregates there are."""
