"""The operators' tools: groups of `mpctl` that look at the log and its copies directly."""
