"""The shape of an aggregate's words: its commands, its events, and the routes below which they are found."""

import functools
from dataclasses import dataclass, field, replace

import msgspec

from mpschema.base import Command, Event
from mpschema.envelope import CommandEnvelope, EventRecord, ExpectedVersion

WORKSPACE_ROUTE = "/v1/workspaces/{workspace_id}"
"""The route of one workspace, and the beginning of the routes of its content."""


@dataclass(frozen=True)
class CommandSpec:
    """One command: its name on the wire, its arguments, whether it makes its target, and the events it may become."""

    command_type: str
    arguments: type[Command]
    emits: tuple[type[Event], ...]
    creates: bool = False
    version: int = 1
    route: str = ""
    """The HTTP path, with `{workspace_id}` and, where the target exists already, `{id}`."""

    @property
    def aggregate(self) -> str:
        """`task` of `task.claim`."""
        return self.command_type.partition(".")[0]

    @property
    def action(self) -> str:
        """`claim` of `task.claim`."""
        return self.command_type.partition(".")[2]

    @functools.cached_property
    def since_level(self) -> int:
        """The feature level a log must have before this command is decided: that of the newest event it may become."""
        return max(event.since_level for event in self.emits)

    @property
    def summary(self) -> str:
        """The first line of the arguments' docstring."""
        return (self.arguments.__doc__ or "").partition("\n")[0]

    @functools.cached_property
    def decoder(self) -> msgspec.json.Decoder[Command]:
        """Strict decoder of the arguments."""
        return msgspec.json.Decoder(self.arguments)

    def envelope(
        self,
        payload: bytes,
        *,
        command_id: str,
        workspace_id: str,
        principal: str,
        target: str = "",
        expected_version: ExpectedVersion = "any",
        idempotency_key: str = "",
        session_id: str | None = None,
        correlation_id: str | None = None,
        causation_id: str | None = None,
        traceparent: str | None = None,
    ) -> CommandEnvelope:
        """The envelope of one command. Its arguments travel as these bytes: nobody on the way encodes them again."""
        return CommandEnvelope(
            command_id=command_id,
            type=self.command_type,
            workspace_id=workspace_id,
            principal=principal,
            payload=msgspec.Raw(payload),
            target=target,
            schema_version=self.version,
            expected_version=expected_version,
            idempotency_key=idempotency_key,
            session_id=session_id,
            correlation_id=correlation_id,
            causation_id=causation_id,
            traceparent=traceparent,
        )


@dataclass(frozen=True)
class EventSpec:
    """One event type in one version: its data, and the record class that carries it in the log."""

    aggregate: str
    data: type[Event]
    version: int = 1
    record: type[EventRecord] = field(init=False, compare=False)

    def __post_init__(self) -> None:
        record = msgspec.defstruct(
            f"{self.name}RecordV{self.version}",
            [("data", self.data)],
            bases=(EventRecord,),
            namespace={"aggregate": self.aggregate, "event_type": self.event_type, "name": self.name},
            module=__name__,
            tag=self.event_type,
            tag_field="type",
            frozen=True,
            gc=False,
            forbid_unknown_fields=True,
            omit_defaults=True,
        )
        object.__setattr__(self, "record", record)

    @property
    def name(self) -> str:
        """`TaskClaimed`, also of `TaskClaimedV1`, as the data of a past version is called."""
        return self.data.__name__.removesuffix(f"V{self.version}")

    @property
    def since_level(self) -> int:
        """The feature level it came with."""
        return self.data.since_level

    @property
    def event_type(self) -> str:
        """`mp.task.TaskClaimed.v1`."""
        return f"mp.{self.aggregate}.{self.name}.v{self.version}"


@dataclass(frozen=True, kw_only=True)
class Vocabulary:
    """The words of one aggregate, or of one of the log's own nouns: those have no plural."""

    name: str
    plural: str = ""
    """The name of its collection in routes and tables."""
    about: str = ""
    """A line of help about it."""
    projection: str = ""
    """The projection that shows it, a module of `mpviews`; empty: one by its plural."""
    events: tuple[type[Event], ...]
    """The events, each in its newest version."""
    commands: tuple[CommandSpec, ...] = ()
    kernel_commands: tuple[CommandSpec, ...] = ()
    """The commands that the kernel gives itself. They have no route, and nobody sends them."""
    collection: str = ""
    """The route of all of them; empty: below the workspace, by the plural."""
    member: str = ""
    """The route of one of them; empty: below the collection, by its id."""

    def __post_init__(self) -> None:
        collection = self.collection or f"{WORKSPACE_ROUTE}/{self.plural}"
        member = self.member or f"{collection}/{{id}}"
        placed = [
            replace(spec, route=collection if spec.creates else f"{member}/{spec.action}") for spec in self.commands
        ]
        object.__setattr__(self, "commands", tuple(placed))


def command(kind: str, arguments: type[Command], *emits: type[Event], creates: bool = False) -> CommandSpec:
    """The description of a command, by its type, its arguments and the events it may become."""
    return CommandSpec(kind, arguments, emits, creates)
