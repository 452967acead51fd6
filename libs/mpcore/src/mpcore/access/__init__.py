"""The rights of callers: the authorizer, and the sender of each message."""
