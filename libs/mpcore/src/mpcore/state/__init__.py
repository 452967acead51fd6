"""The needs of any aggregate, and none by name: the state of a shard and its tenants, facts, rules and descriptors."""
