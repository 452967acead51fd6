"""The event stream: every event of the workspace once and in order, from any place, over SSE and WebSocket."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import httpx
import msgspec
import pytest
from mpd.stack import Stack
from mpschema.cloudevents import CloudEvent
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus

from services.gateway.tests.door import BLUEPRINT, Door
from services.gateway.tests.sse import Listener, background, listening
from tests.support import eventually


async def _tasks(door: Door, count: int) -> dict[str, Any]:
    for number in range(count):
        outcome = await door.done(f"/tasks?id=t{number}", {"project_id": "core", "title": "x"})
    return outcome


async def _seqs_of(door: Door, last: dict[str, Any]) -> list[int]:
    """The positions of the workspace's events by the archive: what a complete stream must bring."""
    items = (await door.get("/history", last, limit=500)).json()["items"]
    return [item["seq"] for item in items]


async def test_a_stream_from_the_start_brings_everything_as_cloudevents(door: Door) -> None:
    last = await _tasks(door, 3)
    expected = await _seqs_of(door, last)
    async with listening(door, after="0:0") as listener:
        await eventually(lambda: listener.seqs == expected)
    first = msgspec.convert(listener.events[0].data, CloudEvent)
    assert first.type == listener.events[0].event == "mp.workspace.WorkspaceCreated.v1"
    assert first.position == listener.events[0].id
    assert first.workspace_id == door.workspace_id


async def test_a_stream_from_now_brings_only_what_happens_next(door: Door) -> None:
    async with listening(door) as listener:
        await eventually(lambda: listener.messages != [])
        await _tasks(door, 2)
        await eventually(lambda: len(listener.events) == 2)
    assert [message.data["subject"] for message in listener.events] == ["task/t0", "task/t1"]


async def test_last_event_id_goes_on_after_it_and_beats_the_url(door: Door) -> None:
    last = await _tasks(door, 5)
    expected = await _seqs_of(door, last)
    async with listening(door, after="0:0") as listener:
        await eventually(lambda: listener.seqs == expected)
    middle = listener.events[3]
    again = Listener(door, {"after": "0:0"}, last_id=middle.id)
    async with background(again):
        await eventually(lambda: again.seqs == expected[4:])


async def test_an_outcomes_position_is_a_cursor(door: Door) -> None:
    first = await door.done("/tasks?id=t1", {"project_id": "core", "title": "x"})
    second = await door.done("/tasks?id=t2", {"project_id": "core", "title": "x"})
    async with listening(door, after=f"{first['epoch']}:{first['last_seq']}") as listener:
        await eventually(lambda: listener.seqs == [second["first_seq"]])


async def test_other_workspaces_are_not_in_it(door: Door, http: httpx.AsyncClient) -> None:
    async with listening(door) as listener:
        await eventually(lambda: listener.messages != [])
        made = await door.ask("POST", "/v1/workspaces", json={"name": "other"})
        assert made.status_code == 201
        last = await _tasks(door, 1)
        await eventually(lambda: listener.seqs == [last["last_seq"]])


async def test_filters_narrow_and_the_cursor_still_moves(door: Door) -> None:
    await door.done("/sessions?id=s1", {"blueprint": BLUEPRINT})
    filters = {"aggregate": "session", "after": "0:0"}
    async with listening(door, **filters) as sessions, listening(door, type="mp.task.TaskCreated.v1") as tasks:
        await eventually(lambda: tasks.messages != [] and len(sessions.events) == 1)
        last = await _tasks(door, 2)
        await eventually(lambda: len(tasks.events) == 2)
        await eventually(lambda: _seq(sessions.last_id) >= last["last_seq"])
    assert [message.event for message in sessions.events] == ["mp.session.SessionSpawned.v1"]


async def test_a_session_filter_brings_what_it_caused_and_what_is_about_it(door: Door) -> None:
    await door.done("/sessions?id=s1", {"blueprint": BLUEPRINT, "project_id": "core"})
    await door.done("/sessions?id=s2", {"blueprint": BLUEPRINT, "project_id": "core"})
    token = (await door.done("/sessions/s1/issue_token"))["token"]
    await door.seen_by(token).done("/sessions/s1/start")
    await door.done("/sessions/s2/start")
    async with listening(door, session="s1", after="0:0") as listener:
        await eventually(lambda: len(listener.events) == 3)
    names = [message.event.split(".")[2] for message in listener.events]
    assert names == ["SessionSpawned", "SessionTokenIssued", "SessionStarted"]


async def test_silence_is_broken_by_a_heartbeat_that_carries_the_cursor(door: Door) -> None:
    async with listening(door) as listener:
        await eventually(lambda: len([message for message in listener.messages if not message.event]) >= 3)
    assert all(_seq(message.id) > 0 for message in listener.messages)


@pytest.mark.parametrize(("cursor", "reason"), [("99:3", "epoch"), ("1:9007199254740991", "beyond_head")])
async def test_a_cursor_of_another_log_is_told_to_start_over(door: Door, cursor: str, reason: str) -> None:
    listener = Listener(door, {"after": cursor})
    await listener.listen_once()
    assert listener.messages[-1].event == "resync"
    assert listener.messages[-1].data["reason"] == reason
    assert _seq(listener.messages[-1].data["head"]) > 0


async def test_the_answer_says_where_the_stream_begins(door: Door) -> None:
    headers = {"authorization": f"Bearer {door.credential}"}
    async with door.http.stream("GET", f"{door.path}/events?after=1:2", headers=headers) as answer:
        assert answer.headers["mp-position"] == "1:2"
        assert answer.headers["content-type"] == "text/event-stream"
        assert "no-cache" in answer.headers["cache-control"]


async def test_a_stranger_hears_nothing(door: Door) -> None:
    await door.done("/principals/user:bob/bind_role", {"role": "viewer"})
    bob = door.seen_by((await door.done("/principals/user:bob/keys"))["key"])
    answer = await bob.ask("GET", "/v1/workspaces/elsewhere/events")
    assert (answer.status_code, answer.json()["code"]) == (403, "denied")


async def test_a_stream_ends_when_its_reader_loses_the_role(door: Door) -> None:
    await door.done("/principals/user:bob/bind_role", {"role": "viewer"})
    bob = door.seen_by((await door.done("/principals/user:bob/keys"))["key"])
    listener = Listener(bob)
    once = asyncio.create_task(listener.listen_once())
    await eventually(lambda: listener.messages != [])
    await door.done("/principals/user:bob/unbind_role", {"role": "viewer"})
    await asyncio.wait_for(once, 60)
    assert listener.messages[-1].event == "bye"
    assert listener.messages[-1].data["reason"] == "denied"


async def test_a_socket_brings_the_same_as_json_frames(door: Door, gateway_stack: Stack) -> None:
    last = await _tasks(door, 2)
    expected = await _seqs_of(door, last)
    url = gateway_stack.url.replace("http", "ws") + f"{door.path}/events/ws?after=0:0"
    headers = {"authorization": f"Bearer {door.credential}"}
    seqs: list[int] = []
    async with connect(url, additional_headers=headers) as socket:
        while len(seqs) < len(expected):
            frame = json.loads(await socket.recv())
            if frame["event"].startswith("mp."):
                assert frame["id"] == f"{frame['data']['epoch']}:{frame['data']['seq']}"
                seqs.append(frame["data"]["seq"])
        heartbeat = json.loads(await socket.recv())
    assert seqs == expected
    assert (heartbeat["event"], _seq(heartbeat["id"]) >= expected[-1]) == ("heartbeat", True)


async def test_a_socket_is_refused_before_the_handshake(door: Door, gateway_stack: Stack) -> None:
    url = gateway_stack.url.replace("http", "ws") + f"{door.path}/events/ws"
    with pytest.raises(InvalidStatus) as refused:
        await connect(url)
    assert refused.value.response.status_code == 401
    assert json.loads(refused.value.response.body or b"")["code"] == "unauthenticated"


async def test_a_socket_at_a_path_that_speaks_http_is_closed(door: Door, gateway_stack: Stack) -> None:
    with pytest.raises(InvalidStatus):
        await connect(gateway_stack.url.replace("http", "ws") + f"{door.path}/tasks")


def _seq(cursor: str) -> int:
    return int(cursor.partition(":")[2] or 0)
