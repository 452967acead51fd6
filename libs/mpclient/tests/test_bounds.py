"""Bounds of reading from a server: beyond them a typed error is raised, and memory stays bounded."""

from __future__ import annotations

import tracemalloc
from collections.abc import Iterator

import httpx
import pytest
from mpclient import bounds, errors
from mpclient.bounds import ANSWER_BYTES_MAX, EVENT_BYTES_MAX
from mpclient.frames import ServerSentEvent
from mpclient.streaming import ASKED_SECONDS_MAX, Follower
from mpclient.transport import Call, Retries

from tests.support.scripted import Endless, Reply, scripted

from .conftest import Use

STREAM = "text/event-stream"
IN_BUFFERS = 16 << 20
PIECE = b"x" * (1 << 18)
DEEP = b"[" * 200_000


@pytest.fixture
def heap() -> Iterator[None]:
    """The most that is held at any time stays below three times the largest answer."""
    tracemalloc.start()
    yield
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert most < 3 * ANSWER_BYTES_MAX


@pytest.mark.usefixtures("heap")
@pytest.mark.parametrize("status", [200, 404, 503])
async def test_an_answer_without_end_is_a_typed_error(use: Use, status: int) -> None:
    with scripted(Endless(PIECE, status=status)) as server:
        with pytest.raises(errors.UnexpectedAnswer, match=f"longer than {ANSWER_BYTES_MAX} bytes"):
            await use(server.url, lambda client: client.tasks.get("t1"))
        assert len(server.asked) == 1
    assert server.taken < ANSWER_BYTES_MAX + IN_BUFFERS


async def test_more_bytes_than_an_answer_says_it_has_are_not_read(use: Use) -> None:
    endless = Endless(b"{}" + PIECE, {"Content-Length": "2"})
    with scripted(endless) as server, pytest.raises(errors.UnexpectedAnswer, match="not a Task"):
        await use(server.url, lambda client: client.tasks.get("t1"))
    assert server.taken < IN_BUFFERS


async def test_a_header_without_end_is_a_typed_error(use: Use) -> None:
    with scripted(Endless(b"", {"X-Long": "x" * (1 << 20)})) as server, pytest.raises(errors.Unreachable):
        await use(server.url, lambda client: client.tasks.get("t1"))


async def test_an_answer_that_is_packed_is_not_unpacked(use: Use) -> None:
    bomb = Reply(headers={"Content-Encoding": "gzip"}, body=b"\x1f\x8b")
    with scripted(bomb) as server, pytest.raises(errors.UnexpectedAnswer, match=r"packed \(gzip\)"):
        await use(server.url, lambda client: client.tasks.get("t1"))
    assert server.asked[0].headers["accept-encoding"] == "identity"


async def test_an_answer_that_drips_is_given_up(use: Use, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bounds, "ANSWER_SECONDS_MAX", -1.0)
    with scripted(Reply()) as server, pytest.raises(errors.Unreachable, match="not whole within"):
        await use(server.url, lambda client: client.tasks.get("t1"))


@pytest.mark.usefixtures("heap")
@pytest.mark.parametrize(
    "piece", [b"data: " + PIECE + b"\n", PIECE, b": nothing\n" * 20_000], ids=["data", "line", "lines"]
)
async def test_an_event_without_end_is_a_typed_error(use: Use, piece: bytes) -> None:
    too_long = pytest.raises(errors.UnexpectedAnswer, match=f"longer than {EVENT_BYTES_MAX} bytes")
    with scripted(Endless(piece, content_type=STREAM)) as server, too_long:
        await use(server.url, lambda client: client.events("0:0"))
    assert server.taken < EVENT_BYTES_MAX + IN_BUFFERS


@pytest.mark.parametrize("end", [b"\n", b"\r", b"\r\n"], ids=repr)
@pytest.mark.parametrize("size", [1, 3, 64])
def test_events_that_end_are_no_long_event_however_they_are_cut(
    end: bytes, size: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bounds, "EVENT_BYTES_MAX", 24)
    whole, measure = (b"data: 1" + end + end) * 50, bounds.Events()
    for start in range(0, len(whole), size):
        measure.take(whole[start : start + size])
    measure.take(b"y" * 23)
    with pytest.raises(errors.UnexpectedAnswer):
        measure.take(b"yy")


@pytest.mark.parametrize("position", ["9" * 5_000 + ":1", "1:" + "9" * 5_000, "\u00b2:\u00b2", "1:2:3", ":"], ids=len)
async def test_a_position_that_is_none_is_a_typed_error(use: Use, position: str) -> None:
    frame = f"id: {position}\ndata: x\n\n".encode()
    with scripted(Reply(200, frame, {}, STREAM)) as server, pytest.raises(errors.UnexpectedAnswer, match="no position"):
        await use(server.url, lambda client: client.events("0:0"))


async def test_an_answer_of_brackets_alone_is_a_typed_error(use: Use) -> None:
    deep = Reply(200, b'{"items":' + DEEP)
    with scripted(deep) as server, pytest.raises(errors.UnexpectedAnswer, match="not a"):
        await use(server.url, lambda client: client.tasks.list())
    deep = Reply(200, b"id: 1:1\ndata: " + b'{"data":' + DEEP + b"\n\n", {}, STREAM)
    with scripted(deep) as server, pytest.raises(errors.UnexpectedAnswer, match="not a CloudEvent"):
        await use(server.url, lambda client: client.events("0:0"))


@pytest.mark.parametrize("asked", [-5.0, 1e300, 10.0**9])
def test_no_server_sends_a_stream_to_sleep(asked: float) -> None:
    follower = Follower(Call("GET", "/"), None, Retries(pause_seconds=0.001))
    bye = ServerSentEvent("bye", f'{{"reason":"x","retry_ms":{int(asked * 1000)}}}', "")
    if abs(asked) < 1e16:
        follower.take(bye)
        assert 0 <= follower.pause() <= ASKED_SECONDS_MAX + 1
    told = httpx.Response(503, headers={"retry-after": f"{asked:.0f}"}, request=httpx.Request("GET", "http://x/"))
    follower.refused(told)
    assert 0 <= follower.pause() <= ASKED_SECONDS_MAX + 1
