"""One attempt: what counts as delivered, what is tried again and when, and where nothing is sent at all."""

from __future__ import annotations

import email.utils
import socket
import ssl
import threading
import time
from collections.abc import AsyncIterator

import httpx
import pytest
from mpd.ports import HOST, free_port
from mpschema.signing import webhook_secret
from mpwebhooks.adapters.addresses import AddressedTransport, Forbidden
from mpwebhooks.adapters.endpoint import ANSWER_BYTES_MAX, EndpointSender
from mpwebhooks.adapters.names import Names
from mpwebhooks.ports import Message, Policy, WebhookSubscription

from services.webhooks.tests.name_server import NameServer
from services.webhooks.tests.receiver import Receiver, Reply

KEY = b"k" * 32
CARRYING = (
    *("fec0::1", "::7f00:1", "::ffff:0:7f00:1", "64:ff9b:1::7f00:1", "64:ff9b::c000:c0", "2002:808:808::1", "3fff::1"),
    *("5f00::1", "2620:4f:8000::1", "2001:67c::5efe:7f00:1", "::ffff:10.0.0.1"),
)
MESSAGE = Message(7, 3, "task/t1", b'{"subject":"task/t1"}')


def sender(*, allow_private: bool = True, timeout_seconds: float = 30.0) -> EndpointSender:
    """A sender that is patient, unless told otherwise."""
    trust = ssl.create_default_context()
    return EndpointSender(
        KEY, trust, Names(), "acme", timeout_seconds=timeout_seconds, connections=4, allow_private=allow_private
    )


def public(inner: httpx.AsyncBaseTransport) -> AddressedTransport:
    """The way to public addresses alone."""
    return AddressedTransport(inner, Names(), "acme", allow_private=False)


def hooked(url: str, *, generation: int = 1, previous_until: float | None = None) -> WebhookSubscription:
    """A webhook to somewhere."""
    return WebhookSubscription("acme", "w1", url, (), (), "active", generation, previous_until, 0, 1, 1)


@pytest.fixture
async def sends() -> AsyncIterator[EndpointSender]:
    """A sender that may go anywhere."""
    found = sender()
    yield found
    await found.close()


async def test_a_success_is_a_delivery(sends: EndpointSender, receiver: Receiver) -> None:
    assert (await sends.send(hooked(receiver.url), MESSAGE)).delivered
    (request,) = receiver.requests
    assert (request.id, request.body) == ("3:7", MESSAGE.body)
    assert request.is_signed_with(webhook_secret(KEY, "acme", "w1", 1))


async def test_the_secret_before_signs_until_its_time_is_over(sends: EndpointSender, receiver: Receiver) -> None:
    old, new = (webhook_secret(KEY, "acme", "w1", generation) for generation in (1, 2))
    await sends.send(hooked(receiver.url, generation=2, previous_until=time.time() + 60), MESSAGE)
    await sends.send(hooked(receiver.url, generation=2, previous_until=time.time() - 1), MESSAGE)
    assert [request.is_signed_with(old) for request in receiver.requests] == [True, False]
    assert all(request.is_signed_with(new) for request in receiver.requests)


@pytest.mark.parametrize(
    ("reply", "reason", "final"),
    [
        (Reply(500), "the receiver answered 500", False),
        (Reply(404), "the receiver answered 404", False),
        (Reply(302, {"location": "/else"}), "the receiver answered 302 with a redirect, which is not followed", False),
        (Reply(410), "the receiver answered 410: it is gone", True),
    ],
)
async def test_anything_else_is_a_failure(
    sends: EndpointSender, receiver: Receiver, reply: Reply, reason: str, final: bool
) -> None:
    receiver.reply = lambda _key, _before: reply
    answer = await sends.send(hooked(receiver.url), MESSAGE)
    assert (answer.delivered, answer.reason, answer.final) == (False, reason, final)
    assert len(receiver.requests) == 1


async def test_an_endpoint_says_when_it_wants_to_be_asked_again(sends: EndpointSender, receiver: Receiver) -> None:
    receiver.reply = lambda _key, _before: Reply(429, {"retry-after": "30"})
    assert (await sends.send(hooked(receiver.url), MESSAGE)).retry_after == 30
    date = email.utils.formatdate(time.time() + 60, usegmt=True)
    receiver.reply = lambda _key, _before: Reply(503, {"retry-after": date})
    assert (await sends.send(hooked(receiver.url), MESSAGE)).retry_after == pytest.approx(60, abs=3)
    receiver.reply = lambda _key, _before: Reply(503, {"retry-after": "soon"})
    assert (await sends.send(hooked(receiver.url), MESSAGE)).retry_after is None


async def test_an_endpoint_that_hangs_is_given_up(receiver: Receiver) -> None:
    given_up = threading.Event()

    def never(_key: str, _before: int) -> Reply:
        given_up.wait(30)
        return Reply()

    receiver.reply = never
    hasty = sender(timeout_seconds=0.5)
    answer = await hasty.send(hooked(receiver.url), MESSAGE)
    given_up.set()
    await hasty.close()
    assert (answer.delivered, answer.reason) == (False, "the receiver did not answer within 0.5 s")


async def test_an_endpoint_that_is_not_there_is_told(sends: EndpointSender) -> None:
    answer = await sends.send(hooked(f"http://{HOST}:{free_port()}/"), MESSAGE)
    assert answer.reason.startswith("the receiver cannot be reached: ConnectError")


async def test_of_a_long_answer_no_more_is_heard_than_it_takes(sends: EndpointSender, receiver: Receiver) -> None:
    receiver.reply = lambda _key, _before: Reply(200, body=b"x" * (ANSWER_BYTES_MAX * 100))
    assert (await sends.send(hooked(receiver.url), MESSAGE)).delivered


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("http://public.example/", "the endpoint is not https"),
        ("https://127.0.0.1:1/", "the endpoint's address 127.0.0.1 is not public"),
        ("https://localhost:1/", "is not public"),
        ("https://[::1]:1/", "the endpoint's address ::1 is not public"),
        ("https://169.254.169.254/latest", "the endpoint's address 169.254.169.254 is not public"),
    ],
)
async def test_nothing_is_sent_to_a_private_address(url: str, reason: str) -> None:
    careful = sender(allow_private=False)
    answer = await careful.send(hooked(url), MESSAGE)
    await careful.close()
    assert answer.final
    assert reason in answer.reason


@pytest.mark.parametrize("address", CARRYING)
async def test_nothing_is_sent_to_an_address_that_is_special_however_it_is_written(address: str) -> None:
    seen = Seen()
    with pytest.raises(Forbidden, match="is not public: it is"):
        await public(seen).handle_async_request(httpx.Request("POST", f"https://[{address}]/"))
    assert seen.requests == []


async def test_one_special_address_among_those_of_a_name_is_enough(monkeypatch: pytest.MonkeyPatch) -> None:
    two = {"two.example": ("1.1.1.1", "192.0.0.192")}
    monkeypatch.setattr(socket, "getaddrinfo", NameServer(two))
    with pytest.raises(Forbidden, match=r"192\.0\.0\.192 is not public: it is of a network for protocols"):
        await public(Seen()).handle_async_request(httpx.Request("POST", "https://two.example/"))


class Seen(httpx.AsyncBaseTransport):
    """Takes every request, and sends none."""

    def __init__(self) -> None:
        self.requests: list[httpx.Request] = []

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Remember it."""
        self.requests.append(request)
        return httpx.Response(204)


async def test_a_request_goes_to_the_address_that_was_looked_at_under_its_own_name() -> None:
    seen = Seen()
    for url in ("https://1.1.1.1:8443/hook?x=1", "https://[2606:4700::1111]/hook"):
        await public(seen).handle_async_request(httpx.Request("POST", url))
    first, second = seen.requests
    assert str(first.url) == "https://1.1.1.1:8443/hook?x=1"
    assert str(second.url) == "https://[2606:4700::1111]/hook"
    assert (first.headers["host"], first.extensions["sni_hostname"]) == ("1.1.1.1:8443", "1.1.1.1")
    with pytest.raises(Forbidden):
        await public(seen).handle_async_request(httpx.Request("POST", "https://localhost/"))


def test_the_wait_doubles_up_to_a_bound_and_chance_takes_up_to_half_of_it() -> None:
    policy = Policy(backoff_seconds=2, backoff_max_seconds=60)
    assert [policy.pause_after(attempts, 0.0) for attempts in range(1, 8)] == [2, 4, 8, 16, 32, 60, 60]
    assert policy.pause_after(3, 1.0) == 4
    assert policy.pause_after(10_000, 0.0) == 60


def test_the_wait_is_as_long_as_the_endpoint_asks_for_within_bounds() -> None:
    policy = Policy(backoff_seconds=2, backoff_max_seconds=60)
    assert policy.pause_after(1, 0.0, retry_after=30) == 30
    assert policy.pause_after(1, 0.0, retry_after=9_999) == 60
    assert policy.pause_after(5, 0.0, retry_after=1) == 32
