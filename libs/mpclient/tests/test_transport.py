"""A call is repeated where that is safe, and every refusal is a typed error."""

import json

import httpx
import pytest
from mpclient import errors
from mpclient.transport import Call, Retries
from mpschema.problems import STATUS, EdgeCode
from mpschema.rejections import Code

from tests.support.scripted import HangUp, Reply, problem, scripted

from .conftest import Use

OUTCOME = Reply(
    body=json.dumps(
        {
            "command_id": "c1",
            "status": "accepted",
            "epoch": 3,
            "first_seq": 7,
            "last_seq": 7,
            "target": "t1",
            "version": 2,
        }
    ).encode()
)


@pytest.mark.parametrize(
    "trouble",
    [HangUp(), problem("unavailable"), problem("overloaded"), problem("outcome_unknown"), Reply(502, b"")],
    ids=repr,
)
async def test_a_command_is_repeated_with_the_same_key(use: Use, trouble: Reply | HangUp) -> None:
    with scripted(trouble, trouble, OUTCOME) as server:
        outcome = await use(server.url, lambda client: client.tasks.claim("t1", ttl_seconds=60))
    assert (outcome.accepted, outcome.last_seq) == (True, 7)
    keys = {asked.headers["idempotency-key"] for asked in server.asked}
    assert (len(server.asked), len(keys)) == (3, 1)


async def test_two_commands_have_two_keys(use: Use) -> None:
    with scripted(OUTCOME) as server:
        await use(server.url, lambda client: client.tasks.claim("t1"))
        await use(server.url, lambda client: client.tasks.claim("t1"))
    assert len({asked.headers["idempotency-key"] for asked in server.asked}) == 2


async def test_it_gives_up_after_its_attempts(use: Use) -> None:
    with scripted(problem("unavailable", "no leader")) as server, pytest.raises(errors.Unavailable, match="no leader"):
        await use(server.url, lambda client: client.tasks.get("t1"))
    assert len(server.asked) == 4


async def test_nobody_there_is_unreachable(use: Use) -> None:
    with scripted(OUTCOME) as server:
        pass
    with pytest.raises(errors.Unreachable):
        await use(server.url, lambda client: client.tasks.get("t1"))


@pytest.mark.parametrize("code", [code for code in STATUS if STATUS[code] not in (429, 503, 504)])
async def test_a_refusal_is_not_repeated_and_keeps_what_the_server_said(use: Use, code: str) -> None:
    with (
        scripted(problem(code, "the claim has fence 7, not 6")) as server,
        pytest.raises(errors.ProblemError) as refused,
    ):
        await use(server.url, lambda client: client.tasks.start("t1", fence=6))
    error = refused.value
    assert (error.code, error.status, error.detail) == (code, STATUS[code], "the claim has fence 7, not 6")
    assert error.problem.trace_id == "t1"
    assert len(server.asked) == 1


KINDS = {
    Code.STALE_FENCE: errors.Rejected,
    Code.SCHEMA_INVALID: errors.Rejected,
    Code.DENIED: errors.Denied,
    Code.NOT_A_MEMBER: errors.Denied,
    Code.NOT_FOUND: errors.NotFound,
    Code.OVERLOADED: errors.Overloaded,
    Code.UNAVAILABLE: errors.Unavailable,
    EdgeCode.UNAUTHENTICATED: errors.Unauthenticated,
    EdgeCode.OUTCOME_UNKNOWN: errors.OutcomeUnknown,
    EdgeCode.INTERNAL: errors.ServerFault,
}


@pytest.mark.parametrize(("code", "kind"), KINDS.items(), ids=[*KINDS])
async def test_each_kind_of_refusal_has_its_error(use: Use, code: str, kind: type[Exception]) -> None:
    with scripted(problem(code)) as server, pytest.raises(errors.ProblemError) as refused:
        await use(server.url, lambda client: client.tasks.complete("t1"))
    assert type(refused.value) is kind


@pytest.mark.parametrize(
    "answer",
    [Reply(body=b"<html>"), Reply(500, b"<html>"), Reply(404, b"nginx"), Reply(body=b'{"command_id":7}')],
    ids=repr,
)
async def test_an_answer_of_something_else_is_told_as_such(use: Use, answer: Reply) -> None:
    with scripted(answer) as server, pytest.raises(errors.UnexpectedAnswer):
        await use(server.url, lambda client: client.tasks.complete("t1"))


def response(status: int, **headers: str) -> httpx.Response:
    return httpx.Response(status, headers={name.replace("_", "-"): value for name, value in headers.items()})


Result = httpx.Response | httpx.TransportError
SAFE, UNSAFE = Call("POST", "/x"), Call("POST", "/x", repeatable=False)


def test_the_pause_is_what_the_server_asks() -> None:
    assert Retries().pause(1, SAFE, response(429, retry_after="2")) == 2.0


def test_a_longer_wait_than_the_bound_is_left_to_the_caller() -> None:
    assert Retries(pause_seconds_max=10).pause(1, SAFE, response(429, retry_after="11")) is None


def test_pauses_double_are_spread_and_are_bounded() -> None:
    retries = Retries(attempts_max=20, pause_seconds=0.1, pause_seconds_max=1.0)
    for attempt, ceiling in ((1, 0.1), (2, 0.2), (3, 0.4), (10, 1.0)):
        pauses = [retries.pause(attempt, SAFE, response(503)) or 0.0 for _ in range(200)]
        assert ceiling / 2 < max(pauses) <= ceiling
        assert min(pauses) < ceiling / 4


def test_what_was_never_sent_or_never_read_may_always_be_repeated() -> None:
    never: list[Result] = [httpx.ConnectError("refused"), httpx.ConnectTimeout("late"), response(429)]
    perhaps: list[Result] = [httpx.ReadError("reset"), httpx.ReadTimeout("late"), response(502), response(503)]
    assert [result for result in never if Retries().pause(1, UNSAFE, result) is None] == []
    assert [result for result in perhaps if Retries().pause(1, UNSAFE, result) is not None] == []
    assert [result for result in perhaps if Retries().pause(1, SAFE, result) is None] == []
