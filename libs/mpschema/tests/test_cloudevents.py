"""Events leave the house as CloudEvents 1.0, structured JSON."""

import datetime as dt
import json
import re
import timeit
from typing import Any

import msgspec
import pytest
from mpschema import golden
from mpschema.base import INT_MAX
from mpschema.cloudevents import CloudEvent, cloudevent_bytes, to_cloudevent
from mpschema.codec import decode_record
from mpschema.registry import EVENTS
from mpschema.vocabulary import EventSpec
from msgspec.structs import replace

HASH, PREVIOUS = "a" * 64, "b" * 64
ATTRIBUTE = re.compile(r"[a-z0-9]{1,20}\Z")
REQUIRED = {"specversion", "id", "source", "type"}


def cloud_event(spec: EventSpec) -> dict[str, Any]:
    event: dict[str, Any] = json.loads(cloudevent_bytes(decode_record(golden.event_bytes(spec)), HASH, PREVIOUS))
    return event


@pytest.mark.parametrize("spec", EVENTS.values(), ids=list(EVENTS))
def test_every_event_keeps_the_rules_of_the_specification(spec: EventSpec) -> None:
    event = cloud_event(spec)
    assert event.keys() >= REQUIRED
    assert event["specversion"] == "1.0"
    assert [name for name in event if not ATTRIBUTE.match(name)] == []
    attributes = {name: value for name, value in event.items() if name != "data"}
    assert [name for name, value in attributes.items() if type(value) not in (str, int)] == []
    assert [name for name, value in attributes.items() if value == ""] == []
    assert dt.datetime.fromisoformat(event["time"]).utcoffset() == dt.timedelta(0)


def test_it_says_what_happened_where_when_and_because_of_what() -> None:
    event = cloud_event(EVENTS["mp.task.TaskLeaseExpired.v1"])
    assert event == {
        "specversion": "1.0",
        "id": "0199f3a2-7c10-7abc-9def-0123456789ab:0",
        "source": "/workspaces/acme",
        "type": "mp.task.TaskLeaseExpired.v1",
        "subject": "task/task-1",
        "time": "2026-01-01T00:00:00.123Z",
        "dataschema": "urn:moduprompt:schema:mp.task.TaskLeaseExpired.v1",
        "datacontenttype": "application/json",
        "data": {"fence": 7, "holder": "agent:reviewer-1"},
        "seq": 1042,
        "sequence": "0000000000001042",
        "streamversion": 4,
        "prevhash": PREVIOUS,
        "hash": HASH,
        "epoch": 3,
        "actor": "agent:reviewer-1",
        "onbehalfof": "user:ada",
        "sessionid": "reviewer-1",
        "causationid": "0199f3a2-7c10-7abc-9def-0123456789ab:1",
        "correlationid": "review-42",
        "commandid": "0199f3a2-7c10-7abc-9def-0123456789ab",
        "traceparent": "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
    }


def test_what_is_not_known_is_left_out_and_the_correlation_begins_with_the_command() -> None:
    spec = EVENTS["mp.task.TaskReady.v1"]
    record = spec.record(
        data=spec.data(), seq=1, id="c1:0", workspace_id="w", aggregate_id="t", version=2, time_ms=0, epoch=1, actor="a"
    )
    event = to_cloudevent(record, HASH, PREVIOUS)
    assert event["time"] == "1970-01-01T00:00:00.000Z"
    assert event["correlationid"] == event["commandid"] == "c1"
    assert event.keys().isdisjoint({"causationid", "onbehalfof", "sessionid", "traceparent"})


@pytest.mark.parametrize("spec", EVENTS.values(), ids=list(EVENTS))
def test_a_reader_gets_the_typed_event_back(spec: EventSpec) -> None:
    record = decode_record(golden.event_bytes(spec))
    event = msgspec.json.decode(cloudevent_bytes(record, HASH, PREVIOUS), type=CloudEvent)
    assert event.event == record.event
    assert (event.aggregate, event.aggregate_id) == (record.aggregate, record.aggregate_id)
    assert (event.workspace_id, event.position, event.spec) == ("acme", "3:1042", spec)


def test_a_reader_bears_extensions_it_does_not_know() -> None:
    data = cloud_event(EVENTS["mp.task.TaskReady.v1"]) | {"policydigest": "ef"}
    assert msgspec.convert(data, CloudEvent).seq == 1042


def test_the_sequence_is_a_text_that_sorts_as_the_numbers_do() -> None:
    record = decode_record(golden.event_bytes(EVENTS["mp.task.TaskReady.v1"]))
    seqs = [1, 9, 10, 2**31, 2**32, INT_MAX]
    texts = [to_cloudevent(replace(record, seq=seq), HASH, PREVIOUS)["sequence"] for seq in seqs]
    assert [int(text) for text in texts] == seqs
    assert sorted(texts) == texts


def test_an_event_is_one_line_for_every_reader_of_lines() -> None:
    spec = EVENTS["mp.task.TaskEdited.v1"]
    title = "a\u2028b\u2029c\u0085d"
    record = replace(decode_record(golden.event_bytes(spec)), data=spec.data(title=title))
    data = cloudevent_bytes(record, HASH, PREVIOUS)
    assert len(data.decode().splitlines()) == 1
    assert json.loads(data)["data"]["title"] == title


def test_a_reader_bears_an_event_of_a_server_before_sequences() -> None:
    data = cloud_event(EVENTS["mp.task.TaskReady.v1"])
    del data["sequence"]
    assert msgspec.convert(data, CloudEvent).seq == 1042


def test_it_is_fast_enough_to_be_made_for_every_event() -> None:
    record = decode_record(golden.event_bytes(EVENTS["mp.task.TaskClaimed.v1"]))
    best = min(timeit.repeat(lambda: cloudevent_bytes(record, HASH, PREVIOUS), number=1_000, repeat=10)) / 1_000
    assert best < 25e-6  # About 3 µs on a quiet machine; the bound leaves room for a busy one.
