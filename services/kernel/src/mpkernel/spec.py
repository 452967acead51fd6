"""The descriptor of the kernel."""

from mpschema import subjects
from mpservice.rights import (
    NatsRights,
    commands_taken,
    lease_read,
    log_appended,
    log_asked,
    log_read,
    redis_written,
    snapshots_read,
    snapshots_written,
)
from mpservice.spec import DeployedSetting, ServiceSpec

SERVICE = ServiceSpec(
    name="kernel",
    nats=NatsRights(
        "decides: takes commands, appends to the log, answers, leads by its lease",
        publish=lambda shard: (
            *log_appended(shard),
            subjects.every_reply(),
            log_asked(shard),
            *log_read(shard),
            *commands_taken(shard),
            *lease_read(),
            *snapshots_read(),
            *snapshots_written(),
        ),
        subscribe=lambda shard: (subjects.command_subject(shard), subjects.service_subjects(shard)),
        keeps_streams=True,
    ),
    facts=("nats", "lease", "clock"),
    scaling="leader",
    redis=redis_written("lease"),
    secret_files=(("MP_SIGNING_KEY_FILE", "signing_key"),),
    settings=(
        DeployedSetting("MP_LEASE", compose="redis", chart="kernel.lease", machine="redis"),
        DeployedSetting("MP_LEASE_TTL_SECONDS", chart="kernel.leaseTtlSeconds"),
    ),
    compose_replicas=2,
)
