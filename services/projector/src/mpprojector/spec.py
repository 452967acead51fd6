"""The descriptor of the projector."""

from mpservice.rights import NatsRights, log_read
from mpservice.spec import ServiceSpec

SERVICE = ServiceSpec(
    name="projector",
    nats=NatsRights("reads the log", publish=log_read),
    facts=("log", "postgres"),
    scaling="workers",
    database_role="mp_projector",
)
