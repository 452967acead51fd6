"""The leader's lease in JetStream: the last message of a subject, with a time to live, changed by compare-and-set.

The server leaves a marker when the message ages out, whose sequence the next holder must name.
"""

import math

from mpbus.streams import LEASE_STREAM
from mpschema import subjects
from nats.aio.client import Client
from nats.errors import Error as NatsError
from nats.js.errors import APIError, NoStreamResponseError, NotFoundError

from mpstore.leases import LeaseUnavailable

_EXPECTED = "Nats-Expected-Last-Subject-Sequence"
_TTL = "Nats-TTL"
_LOST = {10071, 10164}
_RELEASED = b"released"


class JetStreamLease:
    """A `LeadershipLease` in one subject of JetStream. The server counts lifetimes in whole seconds."""

    def __init__(self, nc: Client, name: str, holder: str, ttl_seconds: float) -> None:
        self._js = nc.jetstream(timeout=1)
        self._subject = subjects.lease_subject(name)
        self._holder = holder.encode()
        self._ttl = str(max(1, math.ceil(ttl_seconds)))
        self._sequence = 0
        self._seen = b""

    @property
    def holder(self) -> str:
        """See the port."""
        return self._seen.decode(errors="replace")

    async def free(self) -> bool:
        """See the port. Whoever takes it must name the sequence that was seen here."""
        try:
            last = await self._js.get_last_msg(LEASE_STREAM, self._subject)
        except NotFoundError:
            self._sequence, self._seen = 0, b""
        except (NatsError, TimeoutError) as error:
            raise LeaseUnavailable(_said(error)) from error
        else:
            headers = last.headers or {}
            # What has no time to live is no lease: an answer of the server that somebody let it send here.
            gone = _TTL not in headers or headers.get("Nats-Marker-Reason") or last.data == _RELEASED
            self._sequence, self._seen = int(last.seq or 0), b"" if gone else last.data or b""
        return self._seen in (b"", self._holder)

    async def acquire(self) -> bool:
        """See the port."""
        return await self.free() and await self._put(self._holder)

    async def renew(self) -> bool:
        """See the port. A renewal whose answer was lost, or that ran out while nobody wanted it, is found by a look."""
        return await self._put(self._holder) or await self.acquire()

    async def release(self) -> None:
        """See the port. What was seen last may be another's lease, and is then left alone."""
        if self._seen == self._holder:
            await self._put(_RELEASED)

    async def _put(self, data: bytes) -> bool:
        headers = {_EXPECTED: str(self._sequence), _TTL: self._ttl}
        try:
            self._sequence = (await self._js.publish(self._subject, data, headers=headers)).seq
        except APIError as error:
            if error.err_code in _LOST:
                return False
            raise LeaseUnavailable(_said(error)) from error
        except (NatsError, NoStreamResponseError, TimeoutError) as error:
            raise LeaseUnavailable(_said(error)) from error
        self._seen = b"" if data == _RELEASED else data
        return True


def _said(error: BaseException) -> str:
    return str(error) or type(error).__name__
