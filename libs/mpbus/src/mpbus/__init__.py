"""The part that services share: NATS and its streams, settings, the ops door, life cycle and identities."""
