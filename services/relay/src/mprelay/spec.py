"""The descriptor of the relay."""

from mpservice.rights import NatsRights, feed_written, log_read
from mpservice.spec import ServiceSpec

SERVICE = ServiceSpec(
    name="relay",
    nats=NatsRights("copies the log to the feed", publish=lambda shard: (*log_read(shard), *feed_written(shard))),
    facts=("nats", "log", "feed"),
    scaling="single",
    optional=True,
    compose_profile="feed",
)
