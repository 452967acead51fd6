"""The world: PostgreSQL, the command stream, and the endpoints out there."""
