"""Everything one shard remembers: its tenants, each with the states of its aggregates and what derives from them.

A `World` is changed by `engine.evolve.apply` alone, one recorded fact at a time. To load a snapshot: `add_tenant` for
each workspace, fill the indexes' `by_id`, then `engine.evolve.rebuild_indexes`.
"""

from mpschema.levels import FIRST_LEVEL

from mpcore.state.deadlines import Deadlines
from mpcore.state.facts import LogLimits, Try
from mpcore.state.states import look
from mpcore.state.tenant import Indexes, Tenant


class World:
    """Everything of one shard, at one position of its log."""

    __slots__ = (
        "deadlines",
        "epoch",
        "feature_level",
        "fence_floor",
        "indexes",
        "limits",
        "log_version",
        "operators",
        "seq",
        "tenants",
        "time_ms",
        "tries",
        "unmoved_elections",
    )

    def __init__(self, indexes: Indexes, operators: frozenset[str] = frozenset()) -> None:
        self.indexes = indexes
        """Of each tenant, for the aggregates that there are."""
        self.seq = 0
        """Of the last event."""
        self.epoch = 0
        self.time_ms = 0
        """Of the last event, in milliseconds."""
        self.fence_floor = 0
        """Fencing tokens are above it: a log that was put back must not give out again what the lost part gave."""
        self.feature_level = FIRST_LEVEL
        """The bound of what may be recorded: see `mpschema.levels`."""
        self.log_version = 0
        """The number of events that the log has about itself."""
        self.unmoved_elections = 0
        """Elections since a command was consumed, counted from feature level 3."""
        self.tries: tuple[Try, ...] = ()
        """Of the line that is next, without an outcome so far."""
        self.limits = LogLimits()
        self.operators = operators
        """Principals with an operator's rights in every workspace; they alone create workspaces."""
        self.tenants: dict[str, Tenant] = {}
        self.deadlines = Deadlines()

    def new_tenant(self, workspace_id: str) -> Tenant:
        """A workspace that is not there yet, beside the others."""
        return Tenant(workspace_id, self.deadlines, self.indexes)

    def add_tenant(self, workspace_id: str) -> Tenant:
        """Make room for a workspace that is not there yet."""
        tenant = self.tenants[workspace_id] = self.new_tenant(workspace_id)
        return tenant

    def version_of(self, workspace_id: str, aggregate: str, aggregate_id: str) -> int:
        """The version of an aggregate's last event; 0 when there is none.

        A command and a timer have one event each, so they never have a version before it.
        """
        tenant = self.tenants.get(workspace_id)
        index = None if tenant is None else tenant.indexes.get(aggregate)
        if index is None:
            return self.log_version if aggregate == "log" else 0
        states = index.by_id
        state = look(states, aggregate_id)
        if state is None and states.packs:
            state = states.get(aggregate_id)
        return 0 if state is None else state.version


PLACE = tuple(name for name in World.__slots__ if name not in ("tenants", "deadlines", "indexes"))
"""The parts of a world beside its tenants: a snapshot keeps them, a rollback puts them back."""
