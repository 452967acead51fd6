"""The answers to requests that ask again: read from the log, or that their key is another request's."""

from itertools import takewhile

from mpschema.envelope import EventRecord, Outcome, Status
from mpschema.rejections import Code
from mpschema.system import CommandRejected


def recorded_outcome(records: list[EventRecord], request_id: str) -> Outcome:
    """The answer to a request that asked again. `records` begins with its outcome; what follows it is others'.

    Another workspace's command may have the same id, in the same commit: the outcome ends where the next one begins.
    """
    first = records[0]
    rest = takewhile(lambda record: record.digest is None and record.command_id == first.command_id, records[1:])
    records = [first, *rest]
    last = records[-1]
    about = (first.aggregate, first.aggregate_id)
    version = max(record.version for record in records if (record.aggregate, record.aggregate_id) == about)
    event = first.event
    rejected = event if isinstance(event, CommandRejected) else None
    return Outcome(
        command_id=first.command_id,
        status=Status.REJECTED if rejected else Status.ACCEPTED,
        epoch=first.epoch,
        first_seq=first.seq,
        last_seq=last.seq,
        target=rejected.target if rejected else first.aggregate_id,
        version=0 if rejected else version,
        code=rejected.code if rejected else None,
        detail=rejected.detail if rejected else "",
        duplicate=True,
        request_id=request_id if request_id != first.command_id else "",
    )


def conflict_outcome(request_id: str, epoch: int, place: int) -> Outcome:
    """The answer to a request whose key belongs to another request. Nothing is recorded for it."""
    return Outcome(
        command_id=request_id,
        status=Status.REJECTED,
        epoch=epoch,
        first_seq=place,
        last_seq=place,
        code=Code.IDEMPOTENCY_CONFLICT,
        detail="this idempotency key, or command id, already has the outcome of another request",
    )
