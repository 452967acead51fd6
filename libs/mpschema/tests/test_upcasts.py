"""An old event is read in its newest version: step by step, and what is stored stays as it is."""

import msgspec
import pytest
from mpschema import codec, golden
from mpschema.base import Event
from mpschema.registry import EVENTS, PAST_EVENTS
from mpschema.upcasts import UPCASTS, upcast
from mpschema.vocabulary import EventSpec


class KettleBoiledV1(Event, frozen=True):
    minutes: int


class KettleBoiledV2(Event, frozen=True):
    seconds: int


class KettleBoiled(Event, frozen=True):
    seconds: int
    loud: bool


SPECS = (
    EventSpec("kettle", KettleBoiledV1, 1),
    EventSpec("kettle", KettleBoiledV2, 2),
    EventSpec("kettle", KettleBoiled, 3),
)
RECORDS = {spec.data: spec.record for spec in SPECS}


def to_seconds(old: Event) -> Event:
    assert isinstance(old, KettleBoiledV1)
    return KettleBoiledV2(seconds=old.minutes * 60)


def to_loud(old: Event) -> Event:
    assert isinstance(old, KettleBoiledV2)
    return KettleBoiled(seconds=old.seconds, loud=False)


STEPS = {"mp.kettle.KettleBoiled.v1": to_seconds, "mp.kettle.KettleBoiled.v2": to_loud}
STORED = (
    b'{"type":"mp.kettle.KettleBoiled.v1","seq":7,"id":"c1:0","workspace_id":"w","aggregate_id":"k1","version":2,'
    b'"time_ms":1,"epoch":1,"actor":"user:ada","data":{"minutes":3},"digest":"d"}'
)


def test_versions_of_one_event_share_its_name() -> None:
    assert [spec.event_type for spec in SPECS] == [f"mp.kettle.KettleBoiled.v{version}" for version in (1, 2, 3)]


def test_an_old_event_takes_every_step_to_the_newest_version() -> None:
    old = msgspec.json.decode(STORED, type=SPECS[0].record)
    new = upcast(old, STEPS, RECORDS)
    assert new == SPECS[2].record(
        data=KettleBoiled(seconds=180, loud=False),
        seq=7,
        id="c1:0",
        workspace_id="w",
        aggregate_id="k1",
        version=2,
        time_ms=1,
        epoch=1,
        actor="user:ada",
        digest="d",
    )


def test_the_stored_bytes_stay_the_old_ones() -> None:
    old = msgspec.json.decode(STORED, type=SPECS[0].record)
    upcast(old, STEPS, RECORDS)
    assert codec.encode(old) == STORED


def test_the_newest_version_comes_back_as_it_is() -> None:
    record = codec.decode_record(golden.event_bytes(EVENTS["mp.task.TaskReady.v1"]))
    assert upcast(record) is record


def test_every_past_version_has_its_step_and_every_step_its_past_version() -> None:
    assert {spec.event_type for spec in PAST_EVENTS} == set(UPCASTS)


@pytest.mark.parametrize("unknown", ["mp.task.TaskReady.v9", "mp.task.TaskSang.v1"])
def test_an_unknown_type_or_version_halts_and_is_named(unknown: str) -> None:
    line = golden.event_bytes(EVENTS["mp.task.TaskReady.v1"]).replace(b"mp.task.TaskReady.v1", unknown.encode())
    with pytest.raises(codec.UnknownEvent) as halted:
        codec.decode_record(line)
    assert halted.value.event_type == unknown
