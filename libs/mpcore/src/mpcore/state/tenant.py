"""One workspace's data: for each aggregate an index, its states by id and what derives from them."""

from collections.abc import Callable, Mapping
from typing import Any

import msgspec
from mpschema.rejections import Rejection

from mpcore.state.deadlines import Deadlines


class Index(msgspec.Struct):
    """The states of one aggregate in one workspace. Its own index adds what a decision would else search for."""

    by_id: dict[str, Any] = msgspec.field(default_factory=dict)


Indexes = Mapping[str, Callable[[], Index]]
"""The maker of each aggregate's index, by the aggregate's name, in the order of snapshots."""


class Tenant:
    """Everything of one workspace."""

    __slots__ = ("closed", "deadlines", "id", "indexes")

    def __init__(self, workspace_id: str, deadlines: Deadlines, indexes: Indexes) -> None:
        self.id = workspace_id
        self.deadlines = deadlines
        """Shared by all tenants of the shard."""
        self.indexes: dict[str, Any] = {aggregate: index() for aggregate, index in indexes.items()}
        """By the aggregate's name. Each aggregate has a function that gives its own, by its type."""
        self.closed: Rejection | None = None
        """The answer to almost every command while the workspace is frozen or archived."""

    @property
    def empty(self) -> bool:
        """True while nothing of it is known."""
        return not any(index.by_id for index in self.indexes.values())
