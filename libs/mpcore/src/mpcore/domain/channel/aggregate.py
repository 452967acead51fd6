"""Ordered messages among the sessions of a lineage. The kernel numbers them and says where each comes from.

What was said is not kept: only how many messages there are, who has read how far, and which still wait for an answer.
"""

from mpschema.channel import ChannelClosed, ExpireReply

from mpcore.domain.channel.evolve import EVOLVE
from mpcore.domain.channel.index import REPLY_BY, reindex
from mpcore.domain.channel.rules import RULES
from mpcore.domain.channel.state import Channel, ChannelState
from mpcore.state.descriptor import Aggregate


def _overdue(_: Channel, message_seq: int) -> ExpireReply:
    return ExpireReply(message_seq)


AGGREGATE = Aggregate(
    name="channel",
    about=__doc__,
    state=Channel,
    rules=RULES,
    evolve=EVOLVE,
    reindex=reindex,
    timers={REPLY_BY: _overdue},
    finished=frozenset({ChannelState.CLOSED}),
    finishing=(ChannelClosed,),
)
