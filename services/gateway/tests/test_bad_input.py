"""Bad input at every door: a typed problem, no stack trace, nothing written."""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass, field
from urllib.parse import urlsplit

import httpx
import pytest
from mpd.stack import Stack

from services.gateway.tests.door import Door

JSON = {"content-type": "application/json"}
NDJSON = {"content-type": "application/x-ndjson"}
TASK = b'{"project_id":"core","title":"x"}'


@dataclass(frozen=True)
class Bad:
    """One bad request below a workspace, and what it must be told."""

    name: str
    status: int
    code: str
    path: str = "/tasks"
    method: str = "POST"
    body: bytes = TASK
    headers: dict[str, str] = field(default_factory=lambda: JSON)


REQUESTS = [
    Bad("no JSON", 400, "malformed", body=b"{"),
    Bad("two values", 400, "malformed", body=TASK + TASK),
    Bad("invalid UTF-8", 400, "malformed", body=b'{"project_id":"core","title":"\xff\xfe"}'),
    Bad("another type", 422, "schema_invalid", body=b"[]"),
    Bad("null", 422, "schema_invalid", body=b"null"),
    Bad("an unknown field", 422, "schema_invalid", body=b'{"project_id":"core","title":"x","colour":"red"}'),
    Bad("a missing field", 422, "schema_invalid", body=b'{"project_id":"core"}'),
    Bad("a wrong type", 422, "schema_invalid", body=b'{"project_id":"core","title":7}'),
    Bad("a NUL byte", 422, "schema_invalid", body=b'{"project_id":"core","title":"a\\u0000b"}'),
    Bad("a raw NUL byte", 400, "malformed", body=b'{"project_id":"core","title":"a\x00b"}'),
    Bad("deep nesting", 400, "malformed", body=b"[" * 50_000),
    Bad("deep nesting in a field", 400, "malformed", body=b'{"x":' * 10_000 + b"1" + b"}" * 10_000),
    Bad("over the inline limit", 413, "too_large", body=b'{"project_id":"core","title":"' + b"x" * 70_000 + b'"}'),
    Bad("over the body limit", 413, "too_large", body=b" " * (10 << 20)),
    Bad("a form", 415, "unsupported_media_type", headers={"content-type": "application/x-www-form-urlencoded"}),
    Bad("no content type", 415, "unsupported_media_type", headers={}),
    Bad("a key with a space", 400, "malformed", headers={**JSON, "idempotency-key": "a b"}),
    Bad("an empty key", 400, "malformed", headers={**JSON, "idempotency-key": ""}),
    Bad("a key too long", 400, "malformed", headers={**JSON, "idempotency-key": "k" * 201}),
    Bad("If-Match on a creation", 400, "malformed", headers={**JSON, "if-match": '"1"'}),
    Bad("If-Match without quotes", 400, "malformed", "/tasks/t/edit", body=b"{}", headers={**JSON, "if-match": "1"}),
    Bad("If-None-Match that is no star", 400, "malformed", headers={**JSON, "if-none-match": '"1"'}),
    Bad("a broken traceparent", 400, "malformed", headers={**JSON, "traceparent": "00-xyz"}),
    Bad("a broken correlation id", 400, "malformed", headers={**JSON, "x-correlation-id": "a b"}),
    Bad("an unknown preference", 400, "malformed", headers={**JSON, "prefer": "handling=lenient"}),
    Bad("an id that is none", 422, "schema_invalid", "/tasks?id=a%20b"),
    Bad("an unknown parameter", 400, "malformed", "/tasks?colour=red"),
    Bad("a parameter twice", 400, "malformed", "/tasks?id=a&id=b"),
    Bad("a query that is no UTF-8", 400, "malformed", "/tasks?id=%ff"),
    Bad("a path that is no UTF-8", 404, "not_found", "/tasks/%ff/claim", body=b"{}"),
    Bad("a NUL in the path", 404, "not_found", "/tasks/a%00b/claim", body=b"{}"),
    Bad("an empty part of the path", 404, "not_found", "//tasks"),
    Bad("an empty part of the path, read", 404, "not_found", "//tasks", method="GET", body=b""),
    Bad("a path that ends in a slash", 404, "not_found", "/tasks/"),
    Bad("a path that ends in a slash, read", 404, "not_found", "/projects/", method="GET", body=b""),
    Bad("a slash that is an escape", 404, "not_found", "%2Ftasks", method="GET", body=b""),
    Bad("an escaped slash at the end", 404, "not_found", "/tasks%2f", method="GET", body=b""),
    Bad("an escaped slash in a name", 404, "not_found", "/tasks/t%2Fclaim", body=b"{}"),
    Bad("a parameter of a part", 404, "not_found", "/tasks;v=1", method="GET", body=b""),
    Bad("a dotted part", 404, "not_found", "/tasks/%2e%2e", method="GET", body=b""),
    Bad("a dotted part before another", 404, "not_found", "/%2e/tasks", method="GET", body=b""),
    Bad("a parameter twice, read", 400, "malformed", "/tasks?limit=1&limit=2", method="GET", body=b""),
    Bad("a parameter twice, once escaped", 400, "malformed", "/tasks?limit=1&l%69mit=2", method="GET", body=b""),
    Bad("no such action", 404, "not_found", "/tasks/t/explode", body=b"{}"),
    Bad("no such method", 405, "method_not_allowed", method="PUT"),
    Bad("an empty batch", 400, "malformed", "/commands:batch", body=b"\n\n", headers=NDJSON),
    Bad("a batch that is a JSON object", 400, "malformed", "/commands:batch", headers=JSON),
    Bad("a batch as text", 415, "unsupported_media_type", "/commands:batch", headers={"content-type": "text/plain"}),
    Bad("a batch too large", 413, "too_large", "/commands:batch", body=b"x" * (9 << 20), headers=NDJSON),
    Bad("too many lines", 413, "too_large", "/commands:batch", body=b"{}\n" * 10_001, headers=NDJSON),
    Bad("a key id that is none", 422, "schema_invalid", "/principals/user:bob/keys", body=b'{"key_id":"a b"}'),
    Bad("a key that ended in 1970", 422, "schema_invalid", "/principals/user:bob/keys", body=b'{"expires_at_ms":1000}'),
    Bad("the root's key id", 409, "already_exists", "/principals/user:bob/keys", body=b'{"key_id":"root"}'),
    Bad("a cursor of nobody", 400, "malformed", "/tasks?cursor=nonsense!", method="GET", body=b""),
    Bad("a cursor of another list", 400, "malformed", "/tasks?cursor=cHJvamVjdC5saXN0CjU", method="GET", body=b""),
    Bad("no limit at all", 422, "schema_invalid", "/tasks?limit=0", method="GET", body=b""),
    Bad("a limit too high", 422, "schema_invalid", "/tasks?limit=501", method="GET", body=b""),
    Bad("a limit that is no number", 422, "schema_invalid", "/tasks?limit=ten", method="GET", body=b""),
    Bad("a state nobody knows", 422, "schema_invalid", "/tasks?state=lost", method="GET", body=b""),
    Bad("a NUL in a filter", 400, "malformed", "/tasks?holder=a%00b", method="GET", body=b""),
    Bad("an event type nobody knows", 422, "schema_invalid", "/events?type=mp.no.No.v1", method="GET", body=b""),
    Bad("a project's state nobody knows", 422, "schema_invalid", "/projects?state=lost", method="GET", body=b""),
    Bad("a board's state nobody knows", 422, "schema_invalid", "/boards?state=lost", method="GET", body=b""),
    Bad("a channel's state nobody knows", 422, "schema_invalid", "/channels?state=lost", method="GET", body=b""),
    Bad("a past event nobody knows", 422, "schema_invalid", "/history?event_type=mp.no.No.v1", method="GET", body=b""),
    Bad("a kind nobody knows", 422, "schema_invalid", "/history?aggregate=nothing", method="GET", body=b""),
    Bad("a key twice", 422, "schema_invalid", body=b'{"project_id":"core","title":"a","title":"b"}'),
    Bad(
        "a key twice, once escaped", 422, "schema_invalid", body=b'{"project_id":"core","title":"a","titl\\u0065":"b"}'
    ),
    Bad("a key twice, hidden", 422, "schema_invalid", body=b'{"project_id":"core","title":"\\u003a","title":"b"}'),
    Bad(
        "a key twice in a new key",
        422,
        "schema_invalid",
        "/principals/user:bob/keys",
        body=b'{"key_id":"a","key_id":"b"}',
    ),
    Bad("a coded body", 415, "unsupported_media_type", headers={**JSON, "content-encoding": "gzip"}),
    Bad(
        "a foreign charset", 415, "unsupported_media_type", headers={"content-type": "application/json; charset=utf-16"}
    ),
    Bad(
        "a coded batch", 415, "unsupported_media_type", "/commands:batch", headers={**NDJSON, "content-encoding": "br"}
    ),
    Bad("a position that is none", 422, "schema_invalid", "/events?after=now", method="GET", body=b""),
]


@pytest.mark.parametrize("bad", REQUESTS, ids=lambda bad: bad.name)
async def test_it_is_told_as_a_problem(door: Door, bad: Bad) -> None:
    answer = await door.ask(bad.method, door.path + bad.path, content=bad.body, headers=bad.headers)
    problem = answer.json()
    assert (answer.status_code, problem["code"]) == (bad.status, bad.code), problem
    assert answer.headers["content-type"] == "application/problem+json"
    assert problem["type"] == f"urn:moduprompt:problem:{bad.code}"
    assert problem["status"] == bad.status
    assert problem["title"]
    assert "Traceback" not in answer.text


async def test_nothing_of_it_is_written(door: Door) -> None:
    for bad in REQUESTS:
        await door.ask(bad.method, door.path + bad.path, content=bad.body, headers=bad.headers)
    last = await door.done("/rename", {"name": "Last"})
    history = (await door.get("/history", last)).json()["items"]
    assert [event["event_type"].split(".")[2] for event in history] == [
        "WorkspaceCreated",
        "RoleBound",
        "ProjectCreated",
        "WorkspaceRenamed",
    ]


async def test_every_path_refuses_methods_it_does_not_have_and_says_which_it_has(door: Door) -> None:
    answer = await door.ask("DELETE", f"{door.path}/tasks")
    assert (answer.status_code, answer.headers["allow"]) == (405, "GET, HEAD, OPTIONS, POST")


async def test_a_path_says_which_methods_it_has(door: Door) -> None:
    answer = await door.ask("OPTIONS", f"{door.path}/tasks")
    assert (answer.status_code, answer.headers["allow"], answer.content) == (204, "GET, HEAD, OPTIONS, POST", b"")
    assert "content-length" not in answer.headers


async def test_a_head_is_the_answer_without_its_body(door: Door) -> None:
    for path in ("", "/tasks", "/history"):
        got, head = await door.get(path), await door.ask("HEAD", door.path + path)
        assert (head.status_code, head.content) == (200, b"")
        assert head.headers["content-length"] == got.headers["content-length"]
        assert head.headers.get("etag") == got.headers.get("etag")
    stream = await door.ask("HEAD", f"{door.path}/events")
    assert (stream.status_code, stream.headers["content-type"], stream.content) == (200, "text/event-stream", b"")


async def test_a_line_of_a_batch_with_a_key_twice_does_nothing(door: Door) -> None:
    lines = b'{"type":"task.create","type":"workspace.archive","payload":{}}\n'
    lines += b'{"type":"task.create","payload":{"project_id":"core","title":"a","title":"b"}}\n'
    lines += b'{"type":"task.create","payload":{"project_id":"core","title":"10:30 \\u003a"}}\n'
    answer = await door.ask("POST", f"{door.path}/commands:batch", content=lines, headers=NDJSON)
    told = [json.loads(line) for line in answer.text.splitlines()]
    assert [line.get("code", line["status"]) for line in told] == ["schema_invalid", "schema_invalid", "accepted"]
    assert "'type' stands twice" in told[0]["detail"]


@pytest.mark.parametrize("payload", [b"[" * 5_000 + b"]" * 5_000, b'{"a":"\\u00e4\xff"}', b'{"a":1e99999}'])
async def test_a_line_with_a_payload_that_no_parser_takes_is_refused(door: Door, payload: bytes) -> None:
    line = b'{"type":"task.create","target":null,"payload":' + payload + b',"command_id":null}\n'
    answer = await door.ask("POST", f"{door.path}/commands:batch", content=line, headers=NDJSON)
    assert json.loads(answer.text)["code"] in {"malformed", "schema_invalid"}


async def test_utf_8_may_be_said(door: Door) -> None:
    for stated in ("application/json; charset=utf-8", 'Application/JSON;charset="UTF-8"'):
        answer = await door.ask("POST", f"{door.path}/tasks", content=TASK, headers={"content-type": stated})
        assert answer.status_code == 201, answer.text


async def test_no_such_path_is_a_problem(door: Door) -> None:
    answer = await door.ask("GET", "/v2/nothing")
    assert (answer.status_code, answer.json()["code"]) == (404, "not_found")


async def _raw(gateway: Stack, request: bytes) -> tuple[int, dict[str, object]]:
    """Return the gateway's answer to bytes that no client library would send."""
    address = urlsplit(gateway.url)
    reader, writer = await asyncio.open_connection(address.hostname, address.port)
    writer.write(request)
    head = await reader.readuntil(b"\r\n\r\n")
    length = int(head.lower().split(b"content-length: ")[1].split(b"\r\n")[0])
    body = await reader.readexactly(length)
    writer.close()
    await writer.wait_closed()
    return int(head.split()[1]), json.loads(body)


def _request(gateway: Stack, *headers: bytes) -> bytes:
    credential = b"Authorization: Bearer " + gateway.root_key.encode()
    return b"\r\n".join([b"GET /v1/workspaces HTTP/1.1", b"Host: gateway", credential, *headers, b"", b""])


RAW = {
    "what is not HTTP": b"\x16\x03\x01\x02\x00\x01\x00\r\n\r\n",
    "a header of 100 KiB": b"GET / HTTP/1.1\r\nHost: x\r\nX-Large: " + b"x" * 100_000 + b"\r\n\r\n",
    "ten thousand headers": b"GET / HTTP/1.1\r\nHost: x\r\n" + b"X-Many: y\r\n" * 10_000 + b"\r\n",
    "a path of 100 KiB": b"GET /" + b"x" * 100_000 + b" HTTP/1.1\r\nHost: x\r\n\r\n",
    "a path that is no ASCII": b"GET /v1/\xff\xfe HTTP/1.1\r\nHost: x\r\n\r\n",
    "two content lengths": b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nx",
    "no host": b"GET / HTTP/1.1\r\n\r\n",
    "two hosts": b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
    "a host that is none": b"GET / HTTP/1.1\r\nHost: a b\r\n\r\n",
}


@pytest.mark.parametrize("request_bytes", RAW.values(), ids=RAW.keys())
async def test_bytes_no_library_would_send(gateway_stack: Stack, request_bytes: bytes) -> None:
    status, problem = await _raw(gateway_stack, request_bytes)
    assert (status, problem["code"]) == (400, "malformed")


@pytest.mark.parametrize("name", [b"Authorization", b"Last-Event-ID", b"Traceparent"])
async def test_a_header_that_stands_twice(gateway_stack: Stack, name: bytes) -> None:
    status, problem = await _raw(gateway_stack, _request(gateway_stack, name + b": x", name + b": x"))
    assert (status, problem["code"]) == (400, "malformed")


async def test_a_header_that_is_no_ascii(gateway_stack: Stack) -> None:
    status, problem = await _raw(gateway_stack, _request(gateway_stack, b"Authorization: Bearer \xff\xfe"))
    assert (status, problem["code"]) == (400, "malformed")


async def test_documents_and_health_are_open_to_everybody(http: httpx.AsyncClient) -> None:
    for path in ("/healthz", "/readyz", "/v1/openapi.json", "/v1/asyncapi.json", "/docs"):
        assert (await http.get(path)).status_code == 200, path


async def test_figures_and_reasons_are_for_operators_alone(http: httpx.AsyncClient, gateway_stack: Stack) -> None:
    assert (await http.get("/metrics")).status_code == 404
    assert (await http.get("/readyz")).json() == {"status": "ok"}
    async with httpx.AsyncClient(base_url=gateway_stack.gateways[0].ops_url) as ops:
        assert "mp_gateway_requests_total" in (await ops.get("/metrics")).text
        assert (await ops.get("/readyz")).json()["postgres"] == "ok"


async def test_the_page_of_the_api_brings_its_own_files(http: httpx.AsyncClient) -> None:
    page = (await http.get("/docs")).text
    assert "http://" not in page
    assert "https://" not in page
    for name in ("swagger-ui.css", "swagger-ui-bundle.js", "favicon-32x32.png"):
        assert name in page
        assert (await http.get(f"/docs/{name}")).status_code == 200
    assert (await http.get("/docs/..%2fpasswd")).status_code == 404


async def test_a_stream_to_http_1_0_is_not_chunked(door: Door, gateway_stack: Stack) -> None:
    address = urlsplit(gateway_stack.url)
    reader, writer = await asyncio.open_connection(address.hostname, address.port)
    headers = f"Authorization: Bearer {door.credential}\r\n\r\n"
    writer.write(f"GET {door.path}/events?after=99:1 HTTP/1.0\r\n{headers}".encode())
    heard = await asyncio.wait_for(reader.read(-1), 30)
    writer.close()
    head, _, body = heard.partition(b"\r\n\r\n")
    assert b"chunked" not in head.lower()
    assert body.startswith(b"retry: ")
    assert b"event: resync" in body
