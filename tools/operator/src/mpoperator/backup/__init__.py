"""Backups of a shard: the log as a sealed segment with what it must fold to; taken, verified, put back, rehearsed."""
