"""The pure core: commands and state to facts, facts to state. No clock, dice or I/O: what it needs is handed in."""
