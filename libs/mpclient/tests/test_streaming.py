"""The event stream goes on through everything that breaks: each event once, in order, for ever."""

import itertools
from collections.abc import Callable
from contextlib import aclosing
from typing import Any

import msgspec
import pytest
from mpclient import AsyncClient, Client, errors
from mpschema import golden
from mpschema.cloudevents import CloudEvent, cloudevent_bytes
from mpschema.codec import decode_record
from mpschema.registry import EVENTS

from tests.support.scripted import HangUp, Reply, ScriptedServer, problem, scripted

from .conftest import IMPATIENT

READY = decode_record(golden.event_bytes(EVENTS["mp.task.TaskReady.v1"]))
Follow = Callable[..., Any]


def event(seq: int, epoch: int = 1) -> bytes:
    record = msgspec.structs.replace(READY, seq=seq, epoch=epoch)
    data = cloudevent_bytes(record, "a" * 64, "b" * 64)
    return b"event: mp.task.TaskReady.v1\nid: %d:%d\ndata: %b\n\n" % (epoch, seq, data)


def heartbeat(seq: int, epoch: int = 1) -> bytes:
    return b": heartbeat\nid: %d:%d\n\n" % (epoch, seq)


def stream(*frames: bytes, begins: str = "", cut: bool = False) -> Reply:
    headers = {"Mp-Position": begins} if begins else {}
    return Reply(200, b"retry: 1\n\n" + b"".join(frames), headers, "text/event-stream", cut)


BYE = b'event: bye\ndata: {"reason":"shutdown","retry_ms":1}\n\n'


async def _async(server: ScriptedServer, count: int, *after: Any, **filters: Any) -> list[CloudEvent]:
    async with (
        AsyncClient(server.url, "k", "acme", retries=IMPATIENT) as client,
        aclosing(client.events(*after, **filters)) as events,
    ):
        return [await anext(events) for _ in range(count)]


async def _sync(server: ScriptedServer, count: int, *after: Any, **filters: Any) -> list[CloudEvent]:
    with Client(server.url, "k", "acme", retries=IMPATIENT) as client:
        return list(itertools.islice(client.events(*after, **filters), count))


@pytest.fixture(params=[_async, _sync], ids=["async", "sync"])
def follow(request: pytest.FixtureRequest) -> Follow:
    """Takes so many events from a server, by either client."""
    chosen: Follow = request.param
    return chosen


def seqs(events: list[CloudEvent]) -> list[int]:
    return [each.seq for each in events]


def resumed_at(server: ScriptedServer) -> list[str | None]:
    return [asked.headers.get("last-event-id") for asked in server.asked]


async def test_events_come_typed_and_in_order(follow: Follow) -> None:
    with scripted(stream(event(1), event(2), event(3))) as server:
        events = await follow(server, 3, "0:0")
    assert seqs(events) == [1, 2, 3]
    assert events[0].event == READY.event


@pytest.mark.parametrize("break_", ["ends", "cut", "bye"])
async def test_a_stream_that_breaks_goes_on_after_the_last_event(follow: Follow, break_: str) -> None:
    last = BYE if break_ == "bye" else b""
    first = stream(event(1), event(4), last, cut=break_ == "cut")
    with scripted(first, stream(event(5), event(9))) as server:
        assert seqs(await follow(server, 4, "0:0")) == [1, 4, 5, 9]
    assert resumed_at(server) == ["0:0", "1:4"]


async def test_an_event_that_was_cut_in_the_middle_is_not_taken_for_whole(follow: Follow) -> None:
    with scripted(stream(event(1), event(2)[:-40], cut=True), stream(event(2), event(3))) as server:
        assert seqs(await follow(server, 3, "0:0")) == [1, 2, 3]
    assert resumed_at(server) == ["0:0", "1:1"]


async def test_what_comes_twice_is_taken_once(follow: Follow) -> None:
    with scripted(stream(event(1), event(2)), stream(event(1), event(2), event(2, epoch=2), event(3))) as server:
        assert seqs(await follow(server, 3, "0:0")) == [1, 2, 3]


async def test_outages_and_refusals_that_pass_are_bridged(follow: Follow) -> None:
    troubles = (HangUp(), problem("unavailable"), problem("overloaded"), Reply(502, b"bad gateway"), HangUp())
    with scripted(stream(event(1)), *troubles, stream(event(2))) as server:
        assert seqs(await follow(server, 2, "0:0")) == [1, 2]
    assert resumed_at(server) == ["0:0"] + ["1:1"] * 6


async def test_a_live_stream_that_breaks_before_its_first_event_misses_nothing(follow: Follow) -> None:
    with scripted(stream(begins="1:41", cut=True), stream(event(42))) as server:
        assert seqs(await follow(server, 1)) == [42]
    assert resumed_at(server) == [None, "1:41"]


async def test_heartbeats_move_the_place_where_it_goes_on(follow: Follow) -> None:
    with scripted(stream(event(1), heartbeat(700, epoch=2)), stream(event(800, epoch=2))) as server:
        assert seqs(await follow(server, 2, "0:0")) == [1, 800]
    assert resumed_at(server) == ["0:0", "2:700"]


async def test_a_place_in_another_log_is_an_error_that_tells_where_to_begin_anew(follow: Follow) -> None:
    resync = b'event: resync\ndata: {"reason":"epoch","head":"7:12"}\n\n'
    with scripted(stream(resync)) as server, pytest.raises(errors.ResyncRequired) as required:
        await follow(server, 1, "3:900")
    assert (required.value.reason, required.value.head) == ("epoch", "7:12")


@pytest.mark.parametrize("code", ["unauthenticated", "denied", "not_found", "schema_invalid"])
async def test_a_refusal_that_will_not_pass_ends_it(follow: Follow, code: str) -> None:
    with scripted(stream(event(1)), problem(code)) as server, pytest.raises(errors.ProblemError) as refused:
        await follow(server, 2, "0:0")
    assert refused.value.code == code


async def test_a_stream_that_never_began_is_given_up(follow: Follow) -> None:
    with scripted(HangUp()) as server, pytest.raises(errors.Unreachable):
        await follow(server, 1, "0:0")
    assert len(server.asked) == IMPATIENT.attempts_max


async def test_something_else_that_answers_is_told_as_such(follow: Follow) -> None:
    with scripted(Reply(200, b"<html>", {}, "text/html")) as server, pytest.raises(errors.UnexpectedAnswer):
        await follow(server, 1, "0:0")


async def test_filters_are_sent_with_every_connection(follow: Follow) -> None:
    with scripted(stream(event(1)), stream(event(2))) as server:
        await follow(server, 2, type=["TaskReady", "TaskClaimed"], aggregate="task")
    for asked in server.asked:
        assert asked.query == {"type": ["TaskReady", "TaskClaimed"], "aggregate": ["task"]}
        assert asked.path == "/v1/workspaces/acme/events"
