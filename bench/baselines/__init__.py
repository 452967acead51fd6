"""What our figures stand beside: the plain way of doing the same work, done well."""
