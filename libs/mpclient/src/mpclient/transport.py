"""One call over HTTP: sent, repeated where that is safe, its answer distinguished from a refusal.

What is decided (what to send, whether to try again, what an answer means) is plain functions; the two transports only
wait differently.
"""

import asyncio
import random
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any, TypeVar

import httpx
import msgspec
from mpschema.problems import MEDIA_TYPE, Problem

from mpclient.errors import ProblemError, UnexpectedAnswer, Unreachable, error_of

T = TypeVar("T")
Token = str | Callable[[], str] | None
"""An API key or token; a function is asked before every call, for tokens that are short-lived."""

TIMEOUT_SECONDS = 30.0
_BEFORE_SENDING = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout)
_DIGITS_MAX = 9
_REFUSED_UNREAD = HTTPStatus.TOO_MANY_REQUESTS
_PASSING = {HTTPStatus.BAD_GATEWAY, HTTPStatus.SERVICE_UNAVAILABLE, HTTPStatus.GATEWAY_TIMEOUT}


@dataclass(frozen=True)
class Call:
    """One request. `repeatable`: sending it twice has the effect of sending it once."""

    method: str
    path: str
    params: Mapping[str, Any] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes | None = None
    repeatable: bool = True


@dataclass(frozen=True)
class Retries:
    """The number of attempts of a call and the pauses between them.

    Pauses double, with full jitter, or last as long as the server asks.
    """

    attempts_max: int = 6
    pause_seconds: float = 0.1
    pause_seconds_max: float = 10.0

    def pause(self, attempt: int, call: Call, result: httpx.Response | httpx.TransportError) -> float | None:
        """Seconds until the next attempt after this one (counted from 1); None: this result is the answer."""
        if attempt >= self.attempts_max or not _may_pass(call, result):
            return None
        asked = retry_after(result) if isinstance(result, httpx.Response) else None
        if asked is not None:
            # More than a person would wait is the caller's to decide.
            return asked if asked <= self.pause_seconds_max else None
        return self.jitter(attempt - 1)

    def jitter(self, doublings: int) -> float:
        """A random pause, below a ceiling that doubles up to the bound."""
        ceiling = min(self.pause_seconds_max, self.pause_seconds * 2 ** min(doublings, 30))
        return random.uniform(0, ceiling)  # noqa: S311 - spreads attempts, keeps no secret


def _may_pass(call: Call, result: httpx.Response | httpx.TransportError) -> bool:
    """Tell whether another attempt is safe and may succeed."""
    if isinstance(result, httpx.Response):
        return result.status_code == _REFUSED_UNREAD or (result.status_code in _PASSING and call.repeatable)
    return isinstance(result, _BEFORE_SENDING) or call.repeatable


def retry_after(response: httpx.Response) -> float | None:
    """The seconds in `Retry-After`, where it is given in seconds."""
    value = response.headers.get("retry-after", "")
    return float(value[:_DIGITS_MAX]) if value.isascii() and value.isdigit() else None


def request_of(call: Call, token: Token) -> dict[str, Any]:
    """The arguments of an httpx request."""
    key = token() if callable(token) else token
    authorization = {"Authorization": f"Bearer {key}"} if key else {}
    body = {} if call.body is None else {"content": call.body}
    headers = {"Accept": "application/json", **authorization, **call.headers}
    return {"method": call.method, "url": call.path, "params": call.params, "headers": headers, **body}


def checked(response: httpx.Response) -> httpx.Response:
    """The response, if it is a success. Raises `ProblemError`, or `UnexpectedAnswer` for what we never say."""
    if response.is_success:
        return response
    raise problem_error(response)


def problem_error(response: httpx.Response) -> ProblemError | UnexpectedAnswer:
    """Return the error for a response that is no success. Its body must have been read."""
    if response.headers.get("content-type", "").partition(";")[0] == MEDIA_TYPE:
        try:
            return error_of(msgspec.json.decode(response.content, type=Problem), retry_after(response))
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            return UnexpectedAnswer(f"a problem that cannot be read: {error}")
    return UnexpectedAnswer(f"status {response.status_code} without a problem, from {response.request.url}")


def decoded(data: bytes, kind: type[T]) -> T:
    """A body as its type. Raises `UnexpectedAnswer`."""
    try:
        return msgspec.json.decode(data, type=kind)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise UnexpectedAnswer(f"the answer is not a {kind.__name__}: {error}") from error


def unreachable(error: httpx.HTTPError) -> Unreachable:
    """Return the error for a call of which no attempt reached the server."""
    return Unreachable(f"{type(error).__name__}: {error}" if str(error) else type(error).__name__)


class AsyncTransport:
    """Sends calls over one pool of connections, for asyncio."""

    def __init__(self, http: httpx.AsyncClient, token: Token, retries: Retries) -> None:
        self.http = http
        self.token = token
        self.retries = retries

    async def send(self, call: Call) -> httpx.Response:
        """The successful response. Raises `ProblemError`, `Unreachable` or `UnexpectedAnswer`."""
        attempt = 0
        while True:
            attempt += 1
            result = await self._try(call)
            pause = self.retries.pause(attempt, call, result)
            if pause is not None:
                await asyncio.sleep(pause)
            elif isinstance(result, httpx.Response):
                return checked(result)
            else:
                raise unreachable(result) from result

    async def _try(self, call: Call) -> httpx.Response | httpx.TransportError:
        try:
            return await self.http.request(**request_of(call, self.token))
        except httpx.TransportError as error:
            return error


class SyncTransport:
    """The same for programs without an event loop."""

    def __init__(self, http: httpx.Client, token: Token, retries: Retries) -> None:
        self.http = http
        self.token = token
        self.retries = retries

    def send(self, call: Call) -> httpx.Response:
        """The successful response. Raises `ProblemError`, `Unreachable` or `UnexpectedAnswer`."""
        attempt = 0
        while True:
            attempt += 1
            result = self._try(call)
            pause = self.retries.pause(attempt, call, result)
            if pause is not None:
                time.sleep(pause)
            elif isinstance(result, httpx.Response):
                return checked(result)
            else:
                raise unreachable(result) from result

    def _try(self, call: Call) -> httpx.Response | httpx.TransportError:
        try:
            return self.http.request(**request_of(call, self.token))
        except httpx.TransportError as error:
            return error
