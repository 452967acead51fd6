"""What any aggregate needs, and none by name: the state of a shard and of its tenants, facts, rules and descriptors."""
