"""Equality of two requests under one idempotency key."""

from dataclasses import dataclass, field
from typing import Any

import msgspec
import pytest
from mpschema.codec import request_digest
from mpschema.envelope import CommandEnvelope

BASE: dict[str, Any] = {
    "command_id": "c1",
    "type": "task.claim",
    "workspace_id": "acme",
    "principal": "user:ada",
    "payload": msgspec.Raw(b'{"ttl_seconds":60}'),
    "target": "t1",
    "expected_version": 3,
    "idempotency_key": "k1",
    "session_id": "s1",
}


def digest(**changes: Any) -> str:
    return request_digest(CommandEnvelope(**BASE | changes))


@dataclass(frozen=True)
class Change:
    matters: bool
    fields: dict[str, Any] = field(default_factory=dict)


CHANGES = [
    Change(True, {"type": "task.renew"}),
    Change(True, {"target": "t2"}),
    Change(True, {"target": ""}),
    Change(True, {"expected_version": 4}),
    Change(True, {"expected_version": "any"}),
    Change(True, {"principal": "user:bob"}),
    Change(True, {"session_id": None}),
    Change(True, {"payload": msgspec.Raw(b'{"ttl_seconds":61}')}),
    Change(True, {"payload": msgspec.Raw(b"{}")}),
    Change(False, {"command_id": "c2"}),
    Change(False, {"traceparent": "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"}),
    Change(False, {"correlation_id": "x"}),
    Change(False, {"causation_id": "x"}),
]


@pytest.mark.parametrize("change", CHANGES, ids=lambda change: "-".join(change.fields))
def test_another_intention_is_another_request_and_another_attempt_is_not(change: Change) -> None:
    assert (digest(**change.fields) != digest()) is change.matters


def test_a_digest_is_half_a_sha_256() -> None:
    assert len(digest()) == 32
    assert int(digest(), 16) >= 0
