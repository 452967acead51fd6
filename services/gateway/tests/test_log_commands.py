"""Commands about the log itself: operators of the deployment give them over HTTP, and leave their name."""

from __future__ import annotations

from typing import Any

import httpx
import pytest
from mpschema import levels

from services.gateway.tests.door import Door
from tests.support import eventually

RAISE = "/v1/log/raise_feature_level"
TOO_HIGH = {"level": levels.FEATURE_LEVEL + 1}


async def test_an_operator_s_command_is_decided_and_recorded_under_the_operator_s_name(door: Door) -> None:
    refused = await door.ask("POST", RAISE, json=TOO_HIGH)
    problem = refused.json()
    assert (refused.status_code, problem["code"]) == (409, "invalid_state")
    assert f"reads up to feature level {levels.FEATURE_LEVEL}" in problem["detail"]
    recorded = await _outcome(door, f"/v1/workspaces/system/commands/{problem['command_id']}")
    assert (recorded["status"], recorded["actor"]) == ("rejected", "user:root")


@pytest.mark.parametrize("role", ["owner", "operator"])
async def test_no_role_of_a_workspace_suffices_and_nothing_is_recorded(door: Door, role: str) -> None:
    await door.done("/principals/user:olga/bind_role", {"role": role})
    olga = door.seen_by((await door.done("/principals/user:olga/keys"))["key"])
    before = (await door.ask("POST", RAISE, json=TOO_HIGH)).json()["seq"]
    answer = await olga.ask("POST", RAISE, json=TOO_HIGH)
    after = (await door.ask("POST", RAISE, json=TOO_HIGH)).json()["seq"]
    assert (answer.status_code, answer.json()["code"]) == (403, "denied")
    assert after == before + 1


async def test_a_command_about_the_log_is_conditional_on_nothing_and_may_be_decided_later(door: Door) -> None:
    conditional = await door.ask("POST", RAISE, json=TOO_HIGH, headers={"If-Match": '"1"'})
    assert (conditional.status_code, conditional.json()["code"]) == (400, "malformed")
    taken = await door.ask("POST", RAISE, json=TOO_HIGH, headers={"Prefer": "respond-async"})
    assert taken.status_code == 202
    assert (await _outcome(door, taken.headers["location"]))["code"] == "invalid_state"


async def test_a_batch_of_a_workspace_holds_no_command_about_the_log(door: Door) -> None:
    line = b'{"type":"log.raise_feature_level","target":"log","payload":{"level":9}}\n'
    content_type = {"Content-Type": "application/x-ndjson"}
    answer = await door.ask("POST", f"{door.path}/commands:batch", content=line, headers=content_type)
    assert '"code":"unknown_type"' in answer.text


async def _outcome(door: Door, path: str) -> dict[str, Any]:
    async def found() -> httpx.Response:
        answer = await door.ask("GET", path)
        assert answer.status_code == 200, answer.text
        return answer

    outcome: dict[str, Any] = (await eventually(found)).json()
    return outcome
