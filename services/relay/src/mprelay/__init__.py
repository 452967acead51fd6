"""Copies the log to the feed: one message an event, for whoever speaks NATS."""
