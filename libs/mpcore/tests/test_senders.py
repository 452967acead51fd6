"""Whose command it is: the subject says it of a service, the message of all others, and none speaks for the other."""

import msgspec
import pytest
from mpcore.access.policy import RoleAuthorizer
from mpcore.engine.shard import Shard
from mpcore.engine.turn import Turn
from mpcore.state.facts import Fact
from mpschema import codec
from mpschema.base import Command
from mpschema.envelope import CommandEnvelope, EventRecord
from mpschema.levels import SENDER_LEVEL
from mpschema.principal import BindRole, Role
from mpschema.registry import COMMANDS
from mpschema.rejections import Code
from mpschema.system import CommandRejected, FeatureLevelRaised, LeaderElected, RaiseFeatureLevel
from mpschema.webhook import WORKER, CreateWebhook, DeliveryParked, ParkKey
from mpschema.workspace import CreateWorkspace

ROOT, INSTANCE = "user:root", "system:webhooks:eu1"
TYPES = {spec.arguments: kind for kind, spec in COMMANDS.items()} | {RaiseFeatureLevel: "log.raise_feature_level"}
PARK = ParkKey("task/t1", 1, "the receiver answered 500", 8)


class House:
    """A shard with a workspace and a webhook in it."""

    def __init__(self, level: int, operators: tuple[str, ...] = (ROOT,)) -> None:
        self.shard = Shard()
        self.number = 0
        turn = self.turn()
        turn.note(Fact("log", "log", LeaderElected(leader_epoch=1, node="k", operators=operators)), "e:0")
        turn.note(Fact("log", "log", FeatureLevelRaised(level=level)), "e:1")
        self.send(ROOT, CreateWorkspace(name="Acme"), "acme")
        self.send(ROOT, CreateWebhook("https://example.com/hook"), "w1")

    def turn(self) -> Turn:
        return Turn(self.shard, 1, 1_750_000_000_000, RoleAuthorizer())

    def send(self, principal: str, arguments: Command, target: str = "w1", *, sender: str = "") -> EventRecord:
        """What is recorded of a command that names this principal and came from this sender."""
        self.number += 1
        of_the_log = isinstance(arguments, RaiseFeatureLevel)
        envelope = CommandEnvelope(
            command_id=f"c-{self.number}",
            type=TYPES[type(arguments)],
            workspace_id="system" if of_the_log else "acme",
            principal=principal,
            target=target,
            payload=msgspec.Raw(codec.encode(arguments)),
        )
        turn = self.turn()
        turn.take(self.number, "replies", codec.encode(envelope), sender)
        return codec.decode_records(turn.lines[0] + b"\n")[0]


def refused(record: EventRecord) -> Code | None:
    return record.event.code if isinstance(record.event, CommandRejected) else None


@pytest.fixture
def house() -> House:
    return House(SENDER_LEVEL)


@pytest.mark.parametrize("claimed", [WORKER, ROOT, "system:webhooks:other", "user:mallory"])
def test_a_service_is_who_its_subject_says(house: House, claimed: str) -> None:
    record = house.send(claimed, PARK, sender=INSTANCE)
    assert (type(record.event), record.actor) == (DeliveryParked, INSTANCE)


@pytest.mark.parametrize("level", [2, SENDER_LEVEL])
@pytest.mark.parametrize(
    "arguments",
    [
        CreateWorkspace(name="Mine"),
        BindRole(Role.OWNER),
        RaiseFeatureLevel(level=9),
        CreateWebhook("https://x.example"),
    ],
)
def test_a_service_does_what_it_is_for_whoever_it_says_it_is(level: int, arguments: Command) -> None:
    house = House(level)
    record = house.send(ROOT, arguments, "user:mallory", sender=INSTANCE)
    assert refused(record) is Code.DENIED
    assert record.actor != ROOT


def test_not_even_where_an_operator_is_named_like_it() -> None:
    house = House(SENDER_LEVEL, operators=(ROOT, INSTANCE))
    assert refused(house.send(ROOT, BindRole(Role.OWNER), "user:mallory", sender=INSTANCE)) is Code.DENIED


@pytest.mark.parametrize("sender", ["system:unnamed", "system:relay:main", "system:webhooks2:main"])
def test_who_is_in_no_table_commands_nothing(house: House, sender: str) -> None:
    assert refused(house.send(WORKER, PARK, sender=sender)) is Code.DENIED


@pytest.mark.parametrize("claimed", [WORKER, INSTANCE, "system:", "system:anything"])
def test_no_gateway_speaks_for_a_service(house: House, claimed: str) -> None:
    assert refused(house.send(claimed, PARK)) is Code.DENIED


def test_below_the_level_a_service_is_recorded_as_that_level_records_it() -> None:
    house = House(SENDER_LEVEL - 1)
    assert house.send(WORKER, PARK, sender=INSTANCE).actor == WORKER


def test_below_the_level_a_build_of_that_level_goes_on() -> None:
    """It sends on the gateway's subject. The kernel is new, the log is not raised yet."""
    house = House(SENDER_LEVEL - 1)
    record = house.send(WORKER, PARK)
    assert (type(record.event), record.actor) == (DeliveryParked, WORKER)
    assert refused(house.send(INSTANCE, PARK)) is Code.DENIED, "that level knows no instances"
