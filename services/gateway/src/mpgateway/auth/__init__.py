"""Authentication: from an `Authorization` header to an identity. The kernel decides what an identity may do."""
