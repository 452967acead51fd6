"""A workspace as one principal sees it through the gateway: the short words in which the tests speak."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import httpx

DIGEST = "a" * 64
BLUEPRINT = {"name": "reviewer", "version": "1.0.0", "digest": DIGEST}


@dataclass(frozen=True)
class Door:
    """One gateway, one workspace in it, one credential."""

    http: httpx.AsyncClient
    workspace_id: str
    credential: str

    @property
    def path(self) -> str:
        """The path of the workspace."""
        return f"/v1/workspaces/{self.workspace_id}"

    async def ask(
        self, method: str, path: str, *, headers: dict[str, str] | None = None, **given: Any
    ) -> httpx.Response:
        """Any request, under the credential unless `headers` say otherwise."""
        credential = {"authorization": f"Bearer {self.credential}"}
        return await self.http.request(method, path, headers={**credential, **(headers or {})}, **given)

    async def send(self, path: str, body: Any = None, **headers: str) -> httpx.Response:
        """A command below the workspace."""
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return await self.ask("POST", self.path + path, json={} if body is None else body, headers=named)

    async def done(self, path: str, body: Any = None, **headers: str) -> dict[str, Any]:
        """The outcome of a command that must be accepted."""
        answer = await self.send(path, body, **headers)
        assert answer.is_success, answer.text
        outcome: dict[str, Any] = answer.json()
        return outcome

    async def get(self, path: str = "", after: dict[str, Any] | None = None, **query: str | int) -> httpx.Response:
        """A query below the workspace; `after` is an outcome that the answer must know."""
        fresh = {} if after is None else {"after_seq": after["last_seq"]}
        return await self.ask("GET", self.path + path, params={**fresh, **query})

    def seen_by(self, credential: str) -> Door:
        """The same workspace through another credential."""
        return replace(self, credential=credential)
