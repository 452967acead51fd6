"""Events as others read them: CloudEvents 1.0, structured JSON.

The attributes of the specification say what happened, where and when; the extensions (lower case, as the
specification wants them) say at which position, by whom, and because of what. `hash` and `prevhash` are those of the
commit the event stands in, so a consumer can tie each event to the chain; a page of history leaves them out. `seq`,
`epoch` and `streamversion` are JSON integers of up to 53 bits, where the specification's own have 32: libraries that
hold to it read `sequence`, the extension of that name, which is `seq` as a text that sorts as the numbers do.
"""

import functools
import time
from typing import Any

import msgspec

from mpschema.base import Event
from mpschema.envelope import EventRecord
from mpschema.escapes import escaped
from mpschema.registry import EVENTS
from mpschema.vocabulary import EventSpec

MEDIA_TYPE = "application/cloudevents+json"
BATCH_MEDIA_TYPE = "application/cloudevents-batch+json"
SCHEMA_URN = "urn:moduprompt:schema:"
"""The prefix of every `dataschema` and every `$id` of our JSON Schemas; the type and version follow."""


class CloudEvent(msgspec.Struct, frozen=True, gc=False, kw_only=True, omit_defaults=True):
    """One event in CloudEvents 1.0. Unknown attributes are left aside: newer servers may add extensions."""

    specversion: str
    id: str
    source: str
    type: str
    subject: str
    time: str
    """RFC 3339, UTC, milliseconds."""
    dataschema: str
    datacontenttype: str
    data: Any
    seq: int
    sequence: str = ""
    """`seq` in 16 digits. Left out by servers of before."""
    streamversion: int
    prevhash: str = ""
    hash: str = ""
    epoch: int
    actor: str
    commandid: str
    correlationid: str
    causationid: str | None = None
    onbehalfof: str | None = None
    sessionid: str | None = None
    traceparent: str | None = None

    @property
    def workspace_id(self) -> str:
        """The tenant it happened in."""
        return self.source.rpartition("/")[2]

    @property
    def aggregate(self) -> str:
        """`task` of `task/t1`."""
        return self.subject.partition("/")[0]

    @property
    def aggregate_id(self) -> str:
        """`t1` of `task/t1`."""
        return self.subject.partition("/")[2]

    @property
    def position(self) -> str:
        """`EPOCH:SEQ`, as in the `id` of a server-sent event: where to go on after this one."""
        return f"{self.epoch}:{self.seq}"

    @property
    def spec(self) -> EventSpec | None:
        """The specification of the type; None for a type that this build does not know."""
        return EVENTS.get(self.type)

    @property
    def event(self) -> Event:
        """The data, typed. Raises `KeyError` for an unknown type, `msgspec.ValidationError` for unfit data."""
        fact: Event = msgspec.convert(self.data, EVENTS[self.type].data)
        return fact


_encode = msgspec.json.Encoder().encode


def _cloud_event(record: EventRecord, commit_hash: str, previous_hash: str) -> CloudEvent:
    seconds, milliseconds = divmod(record.time_ms, 1000)
    command_id = record.command_id
    return CloudEvent(
        specversion="1.0",
        id=record.id,
        source=f"/workspaces/{record.workspace_id}",
        type=record.event_type,
        subject=f"{record.aggregate}/{record.aggregate_id}",
        time=f"{_utc(seconds)}.{milliseconds:03d}Z",
        dataschema=SCHEMA_URN + record.event_type,
        datacontenttype="application/json",
        data=record.data,
        seq=record.seq,
        sequence=f"{record.seq:016d}",
        streamversion=record.version,
        prevhash=previous_hash,
        hash=commit_hash,
        epoch=record.epoch,
        actor=record.actor,
        commandid=command_id,
        correlationid=record.correlation_id or command_id,
        causationid=record.causation_id,
        onbehalfof=record.on_behalf_of,
        sessionid=record.session_id,
        traceparent=record.traceparent,
    )


def cloudevent_bytes(record: EventRecord, commit_hash: str, previous_hash: str) -> bytes:
    """The JSON bytes of an event of the commit with `commit_hash`, whose predecessor has `previous_hash`.

    One line for every reader of lines: what some take for the end of one is escaped.
    """
    return escaped(_encode(_cloud_event(record, commit_hash, previous_hash)))


def to_cloudevent(record: EventRecord, commit_hash: str, previous_hash: str) -> dict[str, Any]:
    """The same as plain values."""
    fields: dict[str, Any] = msgspec.json.decode(cloudevent_bytes(record, commit_hash, previous_hash))
    return fields


@functools.lru_cache(maxsize=256)
def _utc(seconds: int) -> str:
    # Events come many to the second: the calendar is asked once for each.
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(seconds))
