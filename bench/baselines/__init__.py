"""The baselines of our figures: the plain way of doing the same work, done well."""
