"""Folds the log into Postgres read models: a batch and its position in one transaction."""
