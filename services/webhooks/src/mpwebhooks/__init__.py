"""Delivers webhooks: events over HTTP, signed, in order per aggregate, again until they were heard or parked."""
