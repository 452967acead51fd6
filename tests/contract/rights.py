"""The rights of each user of NATS, by hand and never made from the table; and what is tried of them on a server."""

from mpbus.streams import LEASE_STREAM, SNAPSHOT_STREAM
from mpschema import subjects
from mpservice.rights import OPERATOR, PROVISION, RESTORE
from mpservice.users import nats_users

from tests.support.users import GATEWAY, KERNEL, PROJECTOR, RELAY, WEBHOOKS

USERS = {user.name: user for user in nats_users()}
LOG, COMMANDS, FEED = subjects.log_stream("0"), subjects.command_stream("0"), subjects.feed_stream("0")
STREAMS = (LOG, COMMANDS, FEED, LEASE_STREAM, SNAPSHOT_STREAM, "ANOTHER")
OF_A_STREAM = (
    "STREAM.CREATE.{0}",
    "STREAM.UPDATE.{0}",
    "STREAM.DELETE.{0}",
    "STREAM.PURGE.{0}",
    "STREAM.INFO.{0}",
    "STREAM.MSG.GET.{0}",
    "STREAM.MSG.DELETE.{0}",
    "STREAM.SNAPSHOT.{0}",
    "STREAM.RESTORE.{0}",
    "STREAM.LEADER.STEPDOWN.{0}",
    "STREAM.PEER.REMOVE.{0}",
    "DIRECT.GET.{0}",
    "CONSUMER.CREATE.{0}",
    "CONSUMER.CREATE.{0}.kernel",
    "CONSUMER.DURABLE.CREATE.{0}.kernel",
    "CONSUMER.DELETE.{0}.kernel",
    "CONSUMER.INFO.{0}.kernel",
    "CONSUMER.RESET.{0}.kernel",
    "CONSUMER.PAUSE.{0}.kernel",
    "CONSUMER.MSG.NEXT.{0}.kernel",
    "CONSUMER.LIST.{0}",
    "CONSUMER.NAMES.{0}",
)
"""Requests that JetStream takes about a stream."""
ELSE = (
    "$JS.API.INFO",
    "$JS.API.STREAM.NAMES",
    "$JS.API.STREAM.LIST",
    "$JS.API.META.LEADER.STEPDOWN",
    "$JS.API.ACCOUNT.PURGE.$G",
    "$JS.ACK.MP_CMD_0.kernel.1.1.1.1.1",
    "$SYS.REQ.SERVER.PING",
    "$SYS.REQ.USER.INFO",
    "$O.MP_SNAPSHOTS.M.x",
    "$O.OTHER.M.x",
    "mp.v1.cmd.0",
    "mp.v1.cmd.1",
    "mp.v1.log.0",
    "mp.v1.ingest.0.guess",
    "mp.v1.svc.0.webhooks.main",
    "mp.v1.svc.0.webhooks.other",
    "mp.v1.svc.0.relay.main",
    "mp.v1.lease.kernel-0",
    "mp.v1.lease.mending-0",
    "mp.v1.lease.other",
    "mp.v1.reply.gateway.x",
    "mp.v1.reply.webhooks.x",
    "mp.v1.evt.0.acme.task.t1",
    *(f"_INBOX.{name}.x" for name in USERS),
    "anything",
)
PUBLISHED = (*(f"$JS.API.{verb.format(stream)}" for stream in STREAMS for verb in OF_A_STREAM), *ELSE)
SUBSCRIBED = (">", "mp.v1.>", "$JS.API.>", "_INBOX.>", "$JS.EVENT.>", "mp.v1.svc.0.*.*", "mp.v1.reply.>", *ELSE)

_MAKERS, _KEEPERS = {PROVISION, RESTORE}, {KERNEL, OPERATOR, PROVISION, RESTORE}
_MADE = {"STREAM.CREATE.{0}": _MAKERS, "STREAM.UPDATE.{0}": _MAKERS, "STREAM.DELETE.{0}": _MAKERS}
_LOG_READERS = {GATEWAY, KERNEL, OPERATOR, PROJECTOR, RELAY, RESTORE}
SNAPSHOT_READERS = {GATEWAY, KERNEL, OPERATOR, RESTORE}
MAY_ASK: dict[str, dict[str, set[str]]] = {
    LOG: _MADE
    | {
        "STREAM.DELETE.{0}": {RESTORE},
        "STREAM.INFO.{0}": _KEEPERS,  # It tells where commits are taken.
        "STREAM.MSG.GET.{0}": _LOG_READERS | {PROVISION},
        "CONSUMER.CREATE.{0}": _LOG_READERS,
        "CONSUMER.MSG.NEXT.{0}.kernel": _LOG_READERS,
        "CONSUMER.NAMES.{0}": _MAKERS,  # To end what somebody made with a credential that was taken back.
        "CONSUMER.DELETE.{0}.kernel": _MAKERS,
    },
    COMMANDS: _MADE
    | {
        "STREAM.PURGE.{0}": {KERNEL},
        "STREAM.INFO.{0}": _KEEPERS,
        "STREAM.MSG.GET.{0}": {KERNEL},
        "CONSUMER.CREATE.{0}.kernel": _MAKERS,
        "CONSUMER.DURABLE.CREATE.{0}.kernel": _MAKERS,
        "CONSUMER.INFO.{0}.kernel": {OPERATOR, RESTORE},
        "CONSUMER.RESET.{0}.kernel": {KERNEL},
        "CONSUMER.MSG.NEXT.{0}.kernel": {KERNEL},
    },
    FEED: _MADE
    | {
        "STREAM.INFO.{0}": {OPERATOR, PROVISION, RELAY, RESTORE},
        "STREAM.MSG.GET.{0}": {OPERATOR, RELAY, RESTORE},
    },
    LEASE_STREAM: _MADE | {"STREAM.INFO.{0}": _KEEPERS, "STREAM.MSG.GET.{0}": {GATEWAY, KERNEL, OPERATOR, RESTORE}},
    SNAPSHOT_STREAM: _MADE
    | {
        "STREAM.PURGE.{0}": {KERNEL, RESTORE},
        "STREAM.INFO.{0}": SNAPSHOT_READERS | {PROVISION},
        "STREAM.MSG.GET.{0}": SNAPSHOT_READERS,
        "CONSUMER.CREATE.{0}": SNAPSHOT_READERS,
        "CONSUMER.CREATE.{0}.kernel": SNAPSHOT_READERS,
        "CONSUMER.NAMES.{0}": _MAKERS,
        "CONSUMER.DELETE.{0}.kernel": SNAPSHOT_READERS | {PROVISION},
    },
    "ANOTHER": {},
}
"""Users by what may be asked of a stream. What is not here nobody may."""
MAY_SAY = {
    "$JS.API.INFO": {OPERATOR, RESTORE},
    "$JS.API.STREAM.NAMES": SNAPSHOT_READERS,
    "$SYS.REQ.USER.INFO": {OPERATOR},  # Of itself: doctor asks by it in which account it is.
    "$O.MP_SNAPSHOTS.M.x": {KERNEL, RESTORE},  # A snapshot is what a kernel and a gateway begin with.
    "mp.v1.cmd.0": {GATEWAY},
    "mp.v1.log.0": {KERNEL, RESTORE},
    "mp.v1.ingest.0.guess": {KERNEL, RESTORE},
    "mp.v1.svc.0.webhooks.main": {WEBHOOKS},
    "mp.v1.lease.kernel-0": {KERNEL, RESTORE},  # Who mends the log holds the lease meanwhile.
    "mp.v1.lease.mending-0": {RESTORE},  # How far the log goes that is being put back.
    "mp.v1.reply.gateway.x": {KERNEL},
    "mp.v1.reply.webhooks.x": {KERNEL},
    "mp.v1.evt.0.acme.task.t1": {RELAY},
}
MAY_HEAR = {
    "mp.v1.cmd.0": {KERNEL},
    "mp.v1.svc.0.*.*": {KERNEL},
    "mp.v1.reply.gateway.>": {GATEWAY},
    "mp.v1.reply.webhooks.>": {WEBHOOKS},
}
