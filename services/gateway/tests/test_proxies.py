"""Trusted proxies: only those named in the settings tell a client's address; others are logged once."""

from __future__ import annotations

from typing import Any

import pytest
import structlog
from mpgateway.proxies import TOLD_MAX, Proxies


async def _asked_by(trusted: str, peers: list[str], **headers: str) -> tuple[list[str], list[dict[str, Any]]]:
    """Under which addresses requests from these peers come through, and what was logged."""
    seen: list[str] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        seen.append(scope["client"][0])

    proxies = Proxies(app, trusted)
    raw = [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()]
    with structlog.testing.capture_logs() as logged:
        for peer in peers:
            await proxies({"type": "http", "client": (peer, 1), "headers": raw}, None, None)
    return seen, [dict(entry) for entry in logged]


async def test_a_trusted_proxy_says_who_asks() -> None:
    seen, logged = await _asked_by("10.0.0.0/8", ["10.1.2.3"], x_forwarded_for="192.0.2.7, 10.9.9.9")
    assert (seen, logged) == (["192.0.2.7"], [])


@pytest.mark.parametrize("header", ["x_forwarded_for", "forwarded", "x_real_ip"])
@pytest.mark.parametrize("trusted", ["", "10.0.0.0/8"])
async def test_a_stranger_is_not_believed_and_told_of_once(header: str, trusted: str) -> None:
    seen, logged = await _asked_by(trusted, ["203.0.113.9", "203.0.113.9"], **{header: "192.0.2.7"})
    assert seen == ["203.0.113.9"] * 2
    assert [(entry["event"], entry["address"]) for entry in logged] == [
        ("gateway.forwarded_by_a_stranger", "203.0.113.9")
    ]
    assert "MP_TRUSTED_PROXIES" in logged[0]["next"]


@pytest.mark.parametrize("header", ["forwarded", "x_real_ip"])
async def test_a_trusted_proxy_whose_header_is_not_read_is_told_of_once(header: str) -> None:
    seen, logged = await _asked_by("10.0.0.0/8", ["10.1.2.3", "10.1.2.3"], **{header: "192.0.2.7"})
    assert seen == ["10.1.2.3"] * 2
    assert [(entry["event"], entry["address"]) for entry in logged] == [
        ("gateway.forwarded_in_another_header", "10.1.2.3")
    ]
    assert "X-Forwarded-For" in logged[0]["next"]


async def test_strangers_of_long_ago_leave_room_for_others(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mpgateway.proxies.TOLD_MAX", 2)
    monkeypatch.setattr("mpgateway.proxies.LATELY_SECONDS", -1.0)
    peers = ["203.0.113.1", "203.0.113.2", "203.0.113.3"]
    _, logged = await _asked_by("", peers, x_forwarded_for="192.0.2.7")
    assert [entry["address"] for entry in logged] == peers


async def test_strangers_do_not_fill_the_log() -> None:
    peers = [f"203.0.{n // 250}.{n % 250}" for n in range(TOLD_MAX + 50)]
    _, logged = await _asked_by("", peers, x_forwarded_for="192.0.2.7")
    assert len(logged) == TOLD_MAX


async def test_who_forwards_nothing_is_not_spoken_of() -> None:
    assert await _asked_by("", ["203.0.113.9"], accept="*/*") == (["203.0.113.9"], [])


async def test_strangers_are_named_while_they_go_on() -> None:
    proxies = Proxies(_nothing, "10.0.0.0/8")
    for peer in ("203.0.113.9", "10.1.2.3"):
        await proxies(
            {"type": "http", "client": (peer, 1), "headers": [(b"x-forwarded-for", b"192.0.2.7")]}, None, None
        )
    assert proxies.strangers == ["203.0.113.9"]


async def _nothing(scope: Any, receive: Any, send: Any) -> None:
    """Answer nothing."""
