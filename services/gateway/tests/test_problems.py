"""Every way to go wrong has one problem, and what nobody foresaw tells nothing."""

from __future__ import annotations

from http import HTTPStatus

import msgspec
import pytest
from litestar.exceptions import HTTPException, NotFoundException
from mpbus.errors import BrokerUnavailable, ChainBroken, IntakeFull, OutcomeTimeout
from mpgateway.auth.oidc import KeysUnavailable
from mpgateway.database import ReadModelsUnavailable
from mpgateway.http import BadRequest, BodyTooLarge
from mpgateway.problems import RequestRefused, answer_of, of_outcome, problem, refusal_of
from mpschema.envelope import Outcome, Status
from mpschema.problems import STATUS, EdgeCode, Problem
from mpschema.rejections import Code
from nats.errors import ConnectionClosedError
from structlog.testing import capture_logs

CODES: list[Code | EdgeCode] = [*Code, *EdgeCode]
ERRORS: list[tuple[Exception, int, str]] = [
    (RequestRefused(Code.DENIED, "no"), 403, "denied"),
    (BadRequest("no"), 400, "malformed"),
    (BodyTooLarge(10), 413, "too_large"),
    (IntakeFull("full", 3), 429, "overloaded"),
    (OutcomeTimeout("c1"), 504, "outcome_unknown"),
    (BrokerUnavailable("away"), 503, "unavailable"),
    (ChainBroken(3, "x"), 503, "unavailable"),
    (ConnectionClosedError(), 503, "unavailable"),
    (ReadModelsUnavailable(), 503, "unavailable"),
    (KeysUnavailable(), 503, "unavailable"),
    (NotFoundException(), 404, "not_found"),
    (HTTPException(status_code=418), 500, "internal"),
    (KeyError("secret"), 500, "internal"),
]


def test_every_code_has_one_status() -> None:
    assert set(STATUS) == {str(code) for code in CODES}
    assert all(HTTPStatus.BAD_REQUEST <= status < 600 for status in STATUS.values())


@pytest.mark.parametrize("code", CODES)
def test_every_code_has_a_problem(code: Code | EdgeCode) -> None:
    made = problem(code, "why")
    assert (made.type, made.code, made.status) == (f"urn:moduprompt:problem:{code}", code, STATUS[code])
    assert made.title


@pytest.mark.parametrize(("error", "status", "code"), ERRORS, ids=lambda value: type(value).__name__)
def test_every_failure_has_a_problem(error: Exception, status: int, code: str) -> None:
    with capture_logs():
        answer = answer_of(refusal_of(error), "/v1/x")
    told = msgspec.json.decode(answer.body, type=Problem)
    assert (answer.status, told.code, told.instance) == (status, code, "/v1/x")


def test_what_nobody_foresaw_is_logged_and_not_told() -> None:
    with capture_logs() as logs:
        answer = answer_of(refusal_of(RuntimeError("password=hunter2")), "/v1/x")
    assert b"hunter2" not in answer.body
    assert "hunter2" in str(logs[0]["exc_info"])


def test_overload_says_when_to_come_again() -> None:
    headers = dict(answer_of(refusal_of(IntakeFull("full", 3)), "").headers)
    assert headers[b"retry-after"] == b"3"


def test_a_recorded_refusal_tells_where_it_stands() -> None:
    outcome = Outcome(
        command_id="c1", status=Status.REJECTED, epoch=3, first_seq=7, last_seq=7, code=Code.CYCLE, detail="a cycle"
    )
    told = of_outcome(outcome, "/v1/x", "t" * 32)
    assert (told.status, told.command_id, told.epoch, told.seq) == (409, "c1", 3, 7)
