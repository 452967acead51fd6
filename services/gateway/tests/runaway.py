"""A lineage that takes a sweep to end."""

from __future__ import annotations

from typing import Any

from services.gateway.tests.door import BLUEPRINT, Door


async def runaway(door: Door) -> dict[str, Any]:
    """Cancel a lineage of three where a sweep takes one command a step; returns the outcome."""
    await door.ask("POST", "/v1/log/set_limits", json={"sweep_facts": 1})
    for name, parent in (("runaway", None), ("r1", "runaway"), ("r2", "runaway")):
        await door.done(f"/sessions?id={name}", {"blueprint": BLUEPRINT} | ({"parent_id": parent} if parent else {}))
    return await door.done("/sessions/runaway/cancel", {"reason": "enough"})


async def swept(door: Door) -> list[dict[str, Any]]:
    """The one sweep, once it has ended. Raises `AssertionError` before."""
    items: list[dict[str, Any]] = (await door.get("/sweeps")).json()["items"]
    assert [(sweep["state"], sweep["kind"], sweep["done"]) for sweep in items] == [("ended", "descendants", 2)]
    return items
