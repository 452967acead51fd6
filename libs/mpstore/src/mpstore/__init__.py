"""Stores that several programs of ours use, each behind its port: the log, leases, snapshots, read models.

A room's `__init__` is its port: a protocol with its promises, and the errors that it raises. Beside it stand the
adapters, for real servers and in memory, held to the same contract. An adapter raises no error of its driver.
"""
