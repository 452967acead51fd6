"""Names of endpoints: a name server that never answers stops neither the deliveries of others nor the process."""

from __future__ import annotations

import asyncio
import socket
import ssl
import subprocess
import sys
from collections.abc import Iterator

import httpx
import pytest
from mpd.ports import HOST, free_port
from mpwebhooks.adapters.endpoint import EndpointSender
from mpwebhooks.adapters.names import LOOKUPS_OF_WORKSPACE_MAX, Names
from mpwebhooks.ports import Message, WebhookSubscription

from services.webhooks.tests.name_server import SILENT, NameServer
from services.webhooks.tests.receiver import Receiver
from tests.support.waiting import eventually

MANY = 60
MESSAGE = Message(7, 3, "task/t1", b"{}")
AT_AN_END = """
import asyncio, socket, uvloop
from services.webhooks.tests.name_server import NameServer
from services.webhooks.tests.test_names import sender, sent
from tests.support.waiting import eventually
socket.getaddrinfo = NameServer({})
async def main():
    waits = asyncio.create_task(sent(sender(), "http://one.silent.example/"))
    await eventually(lambda: socket.getaddrinfo.asked)
    waits.cancel()
uvloop.run(main())
print("over")
"""


@pytest.fixture
def name_server(monkeypatch: pytest.MonkeyPatch) -> Iterator[NameServer]:
    """The system's names, two of ours, and silence for some."""
    made = NameServer({"receiver.example": (HOST,), "half.example": ("127.0.0.2", HOST)})
    monkeypatch.setattr(socket, "getaddrinfo", made)
    yield made
    made.over.set()


def sender(names: Names | None = None, workspace_id: str = "acme", timeout_seconds: float = 60.0) -> EndpointSender:
    """Return a sender for the webhooks of a workspace; one process has one `names`."""
    return EndpointSender(
        b"k" * 32,
        ssl.create_default_context(),
        names or Names(),
        workspace_id,
        timeout_seconds=timeout_seconds,
        connections=4,
        allow_private=True,
    )


async def sent(sends: EndpointSender, url: str) -> str:
    """Send a message and return the reason for which it was not delivered; empty if it was."""
    answer = await sends.send(WebhookSubscription("acme", "w1", url, (), (), "active", 1, None, 0, 1, 1), MESSAGE)
    await sends.close()
    return answer.reason


async def test_names_that_nobody_answers_keep_no_other_webhook_waiting(
    name_server: NameServer, receiver: Receiver
) -> None:
    names = Names(seconds_max=30)
    silent = [asyncio.create_task(sent(sender(names), f"http://n{n}{SILENT}/")) for n in range(MANY)]
    await eventually(lambda: len(name_server.asked) == LOOKUPS_OF_WORKSPACE_MAX)
    url = receiver.url.replace(HOST, "receiver.example")
    assert await sent(sender(names, "globex"), url) == ""
    assert not any(each.done() for each in silent)
    assert len(set(name_server.asked)) == LOOKUPS_OF_WORKSPACE_MAX + 1, "a workspace has its share of lookups"
    name_server.over.set()
    assert {reason.partition(":")[2].split()[0] for reason in await asyncio.gather(*silent)} == {"ConnectError:"}


async def test_a_name_that_nobody_answers_is_given_up_and_asked_no_second_time(name_server: NameServer) -> None:
    names = Names(seconds_max=0.05)
    for _ in range(3):
        reason = await sent(sender(names), f"http://one{SILENT}/")
        assert reason == f"the receiver cannot be reached: the name one{SILENT} was not found within 0.05 s"
    assert name_server.asked == [f"one{SILENT}"]


async def test_the_name_of_an_endpoint_is_asked_once_for_all_who_wait_and_again_for_the_next(
    name_server: NameServer,
) -> None:
    names = Names()
    together = await asyncio.gather(*(names.addresses("acme", "receiver.example", 443) for _ in range(5)))
    assert together == [(HOST,)] * 5
    assert len(name_server.asked) == 1
    await names.addresses("acme", "receiver.example", 443)
    assert len(name_server.asked) == 2


async def test_of_several_addresses_the_one_that_listens_is_sent_to(
    name_server: NameServer, receiver: Receiver
) -> None:
    assert await sent(sender(), receiver.url.replace(HOST, "half.example")) == ""
    (request,) = receiver.requests
    assert request.headers["host"].startswith("half.example:")
    assert name_server.asked == ["half.example"]
    refused = await sent(sender(), f"http://half.example:{free_port()}/")
    assert refused.startswith("the receiver cannot be reached: ConnectError")


async def test_a_name_that_is_not_known_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(httpx.ConnectError, match=r"the name nowhere\.invalid is not known"):
        await Names().addresses("acme", "nowhere.invalid", 443)


def test_a_process_ends_while_a_name_is_not_answered() -> None:
    done = subprocess.run([sys.executable, "-c", AT_AN_END], capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stdout) == (0, "over\n"), done.stderr
