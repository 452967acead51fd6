"""The world as the projector's ports: PostgreSQL, and its twin in memory."""
