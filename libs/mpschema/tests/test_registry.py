"""The registry is the one list, and everything that belongs to a message is there."""

import re
from importlib import import_module

import msgspec
from mpschema import aggregates, base, levels, system
from mpschema.problems import STATUS, EdgeCode, title
from mpschema.queries import QUERIES
from mpschema.registry import AGGREGATES, COMMANDS, EVENTS, KERNEL_COMMANDS, LOG_COMMANDS
from mpschema.rejections import SINCE_LEVEL, Code, Rejection

MODULES = (*(import_module(f"mpschema.{name}") for name in aggregates.NAMES), system)


def defined(kind: type) -> set[type]:
    return {
        found
        for module in MODULES
        for found in vars(module).values()
        if isinstance(found, type) and issubclass(found, kind) and found is not kind and found.__name__[0] != "_"
    }


def test_every_command_that_is_defined_is_registered() -> None:
    given = COMMANDS | LOG_COMMANDS | KERNEL_COMMANDS
    assert {spec.arguments for spec in given.values()} == defined(base.Command)


def test_every_event_that_is_defined_is_registered() -> None:
    assert {spec.data for spec in EVENTS.values()} == defined(base.Event)


def test_every_command_becomes_registered_events() -> None:
    registered = {spec.data for spec in EVENTS.values()}
    assert [
        spec.command_type
        for spec in (COMMANDS | KERNEL_COMMANDS).values()
        if not spec.emits or not set(spec.emits) <= registered
    ] == []


def test_every_command_says_what_it_does() -> None:
    assert [spec.command_type for spec in COMMANDS.values() if not re.fullmatch(r"[A-Z].*\.", spec.summary)] == []


def test_names_speak_one_language() -> None:
    given = COMMANDS | KERNEL_COMMANDS
    assert [name for name in given if not re.fullmatch(r"[a-z]+\.[a-z_]+", name)] == []
    assert {spec.aggregate for spec in given.values()} == set(AGGREGATES)
    assert [name for name, spec in EVENTS.items() if name != f"mp.{spec.aggregate}.{spec.name}.v{spec.version}"] == []


def test_filters_are_columns() -> None:
    for spec in QUERIES.values():
        assert set(spec.filters) <= {field.name for field in msgspec.structs.fields(spec.row)}, spec.query_type


def test_no_route_is_two_commands_or_two_queries() -> None:
    for routes in ([spec.route for spec in COMMANDS.values()], [spec.route for spec in QUERIES.values()]):
        assert len(set(routes)) == len(routes)


def test_every_code_has_one_status_and_a_title() -> None:
    assert set(STATUS) == set(Code) | set(EdgeCode)
    assert all(status >= 400 for status in STATUS.values())
    assert title(Code.WIP_LIMIT_REACHED) == "Wip limit reached"


def test_the_newest_feature_level_is_that_of_the_newest_event() -> None:
    assert max(spec.since_level for spec in EVENTS.values()) == levels.FEATURE_LEVEL
    assert f"| {levels.FEATURE_LEVEL} |" in str(levels.__doc__), "say there what came with it"
    assert f"| {levels.FEATURE_LEVEL + 1} |" not in str(levels.__doc__)


def test_a_command_needs_the_level_of_what_it_becomes() -> None:
    assert LOG_COMMANDS["log.raise_feature_level"].since_level == 2
    assert LOG_COMMANDS["log.set_limits"].since_level == EVENTS["mp.log.LimitsSet.v1"].since_level == 4
    assert COMMANDS["task.create"].since_level == levels.FIRST_LEVEL


BEFORE_LEVELS = {
    "schema_invalid",
    "unknown_type",
    "unknown_version",
    "too_large",
    "denied",
    "not_found",
    "already_exists",
    "name_taken",
    "invalid_state",
    "stale_version",
    "stale_fence",
    "stale_epoch",
    "idempotency_conflict",
    "frozen",
    "blocked",
    "cycle",
    "wip_limit_reached",
    "depth_exceeded",
    "fanout_exceeded",
    "authority_exceeded",
    "session_ended",
    "not_a_member",
    "last_owner",
    "overloaded",
    "unavailable",
}
"""The codes that builds of feature levels 1 and 2 can read."""


def test_every_code_that_came_later_names_its_level_and_what_stands_in_for_it_below() -> None:
    assert set(Code) - BEFORE_LEVELS == set(SINCE_LEVEL)
    for code, (level, stand_in) in SINCE_LEVEL.items():
        assert 2 < level <= levels.FEATURE_LEVEL, code
        assert stand_in in BEFORE_LEVELS, code


def test_below_its_level_a_code_is_the_old_one_and_the_detail_names_it() -> None:
    refusal = Rejection(Code.UNDECIDABLE, "why not")
    assert refusal.as_of(3) is refusal
    assert refusal.as_of(2) == Rejection(Code.INVALID_STATE, "undecidable: why not")
    old = Rejection(Code.DENIED, "no")
    assert old.as_of(1) is old
