"""Commands and commits over NATS JetStream: connections, streams, readers, producers and accounts."""
