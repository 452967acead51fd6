"""The servers and services of one installation, as operators' tools reach them."""
