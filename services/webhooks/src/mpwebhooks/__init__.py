"""Delivery of webhooks: events over HTTP, signed, in order per aggregate, repeated until accepted or parked."""
