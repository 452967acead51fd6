"""The AsyncAPI document against what travels: the words of the bus and of the feed are the documented ones."""

from __future__ import annotations

from mpbus.producer import REPLY_HEADER
from mpbus.reader import HASH_HEADER
from mpschema import asyncapi, subjects

DOCUMENT = asyncapi.document()
CHANNELS = DOCUMENT["channels"]


def headers_of(channel: str) -> list[set[str]]:
    names = [message["$ref"].rpartition("/")[2] for message in CHANNELS[channel]["messages"].values()]
    return [set(DOCUMENT["components"]["messages"][name]["headers"]["properties"]) for name in names]


def test_commands_name_where_their_outcomes_are_awaited() -> None:
    assert headers_of("commands") == [{REPLY_HEADER}]


def test_commits_and_events_carry_the_hash() -> None:
    assert headers_of("log") == [{HASH_HEADER}]
    assert all(HASH_HEADER in headers for headers in headers_of("feed"))


def test_addresses_are_the_subjects() -> None:
    address = {name: channel["address"] for name, channel in CHANNELS.items()}
    assert address["commands"].format(shard="0") == subjects.command_subject("0")
    assert address["serviceCommands"].format(shard="0", service="webhooks", instance="main") == (
        subjects.service_subject("0", "webhooks", "main")
    )
    replies = address["replies"].format(user="gateway", producer="p1", pack="7")
    assert replies == f"{subjects.reply_subject('gateway', 'p1')}.7"
    assert address["log"].format(shard="0") == subjects.log_subject("0")
    places = {"shard": "0", "workspace": "acme", "aggregate": "task", "id": "t1"}
    assert address["feed"].format(**places) == subjects.feed_subject("0", "acme", "task", "t1")
