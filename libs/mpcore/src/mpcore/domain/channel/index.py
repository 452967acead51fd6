"""The index of the channels of a workspace: by when answers are wanted."""

from collections.abc import Mapping

from mpcore.domain.channel.state import Channel
from mpcore.state.tenant import Tenant

REPLY_BY = "reply_by"
_NOTHING: Mapping[int, int] = {}


def reindex(tenant: Tenant, old: Channel | None, new: Channel | None) -> None:
    """See `state.descriptor.Reindex`."""
    before, after = _awaited(old), _awaited(new)
    known = new or old
    if after is before or known is None:
        return
    for message_seq, due_ms in after.items():
        if message_seq not in before:
            tenant.deadlines.set((tenant.id, REPLY_BY, known.id, message_seq), due_ms)
    for message_seq in before:
        if message_seq not in after:
            tenant.deadlines.clear((tenant.id, REPLY_BY, known.id, message_seq))


def _awaited(channel: Channel | None) -> Mapping[int, int]:
    return _NOTHING if channel is None else channel.awaited
