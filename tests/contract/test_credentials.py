"""The servers let each service do what the table says, and nothing else: tried with each credential, one by one."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from mpbus.accounts import ABOUT_US
from mpbus.connect import BusClient, connect
from mpbus.errors import PermissionsViolation
from mpbus.feed_users import feed_entry
from mpbus.streams import SNAPSHOT_STREAM
from mpd.credentials import Credentials
from mpd.servers import NatsServer, ValkeyServer
from mpd.tables import PAGE, written
from mpschema import subjects
from mpservice.rights import OPERATOR, PROVISION, RESTORE
from mpservice.users import NatsUser, nats_users, redis_rules
from redis.asyncio import Redis
from redis.exceptions import AuthenticationError, NoPermissionError, ResponseError

from tests.architecture.repository import ROOT
from tests.contract.rights import (
    ELSE,
    LOG,
    MAY_ASK,
    MAY_HEAR,
    MAY_SAY,
    OF_A_STREAM,
    PUBLISHED,
    SNAPSHOT_READERS,
    STREAMS,
    SUBSCRIBED,
    USERS,
)
from tests.support.users import GATEWAY, KERNEL, PROJECTOR, RELAY, WEBHOOKS


@dataclass
class House:
    """A NATS that knows our users, and their credentials. There is no stream: nothing that is tried does anything."""

    server: NatsServer
    credentials: Credentials

    @asynccontextmanager
    async def connected(self, user: str) -> AsyncIterator[BusClient]:
        """As one of the users."""
        nc = await connect(self.credentials.nats_options(self.server.url, user), "tries")
        yield nc
        await nc.close()


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    folder = tmp_path_factory.mktemp("house")
    credentials = Credentials(folder / "secrets")
    server = NatsServer(folder / "nats", accounts=credentials.nats_accounts())
    server.start()
    yield House(server, credentials)
    server.stop()


def covers(pattern: str, subject: str) -> bool:
    """Tell whether a subject of the table covers one that is tried, wildcards included."""
    wanted, tried = pattern.split("."), subject.split(".")
    for index, token in enumerate(wanted):
        if token == ">":
            return len(tried) > index
        if index >= len(tried) or (token != "*" and token != tried[index]) or tried[index] == ">":
            return False
    return len(wanted) == len(tried)


async def refused(nc: BusClient, tried: tuple[str, ...], action: str) -> set[str]:
    """Return the subjects that the server refuses. It says so before it answers a ping that was sent later."""
    found: set[str] = set()
    names = {subject.lower(): subject for subject in tried}
    nc.all_denied = lambda error: found.add(names[error.subject]) if error.action == action else None
    for subject in tried:
        if action == "publish":
            await nc.publish(subject, b"\x00 nothing that anybody could act on")
        else:
            await nc.subscribe(subject)
    for _ in range(2):  # The library writes a ping before what still waits to be written.
        await nc.flush(60)
    nc.all_denied = None
    return found


@pytest.mark.parametrize("name", USERS)
async def test_each_user_may_publish_what_the_table_lists_and_nothing_else(house: House, name: str) -> None:
    tried = tuple(
        dict.fromkeys([*PUBLISHED, *(_made_literal(each) for user in USERS.values() for each in user.publish)])
    )
    allowed = {subject for subject in tried if any(covers(each, subject) for each in USERS[name].publish)}
    assert allowed, "it may do something"
    async with house.connected(name) as nc:
        assert await refused(nc, tried, "publish") == set(tried) - allowed


@pytest.mark.parametrize("name", USERS)
async def test_each_user_may_hear_what_the_table_lists_and_nothing_else(house: House, name: str) -> None:
    tried = tuple(dict.fromkeys([*SUBSCRIBED, *(each for user in USERS.values() for each in user.subscribe)]))
    allowed = {subject for subject in tried if any(covers(each, subject) for each in USERS[name].subscribe)}
    async with house.connected(name) as nc:
        assert await refused(nc, tried, "subscribe") == set(tried) - allowed


def _made_literal(pattern: str) -> str:
    return ".".join({"*": "kernel", ">": "x.y"}.get(token, token) for token in pattern.split("."))


def may(verb: str, stream: str) -> set[str]:
    """Return the users who may ask this of a stream."""
    subject = f"$JS.API.{verb.format(stream)}"
    return {user.name for user in USERS.values() if any(covers(each, subject) for each in user.publish)}


def publishers(subject: str) -> set[str]:
    return {user.name for user in USERS.values() if any(covers(each, subject) for each in user.publish)}


@pytest.mark.parametrize("stream", STREAMS)
def test_the_table_keeps_what_it_is_for(stream: str) -> None:
    """The rules themselves, said once more in other words than the table's."""
    assert {verb: users for verb in OF_A_STREAM if (users := may(verb, stream))} == MAY_ASK[stream]


def test_the_table_lets_nobody_else_speak_or_hear() -> None:
    assert {subject: users for subject in ELSE if (users := publishers(subject))} == MAY_SAY
    own = {f"_INBOX.{user}.>" for user in USERS}
    heard = {subject for user in USERS.values() for subject in user.subscribe} - own
    assert {each: {user.name for user in USERS.values() if each in user.subscribe} for each in heard} == MAY_HEAR


def test_every_right_is_one_that_is_said_here() -> None:
    """What the table says in a way that nothing here tries would be tried by nobody."""
    tried = [*PUBLISHED, f"$JS.API.DIRECT.GET.{SNAPSHOT_STREAM}.$O.MP_SNAPSHOTS.M.x", f"$JS.FC.{SNAPSHOT_STREAM}.x"]
    untried = {each for user in USERS.values() for each in user.publish if not any(covers(each, one) for one in tried)}
    assert not untried
    assert {user for user in USERS if any("DIRECT.GET" in each for each in USERS[user].publish)} == SNAPSHOT_READERS


def test_who_is_not_to_have_every_stream_is_alone_in_an_account() -> None:
    """Inside of one account whoever asks for a message can have it sent on any subject."""
    accounts = {name: {user.name for user in USERS.values() if user.account == name} for name in _accounts()}
    assert accounts.pop("MP_STREAMS") == {KERNEL, PROVISION, RESTORE}
    assert sorted(map(sorted, accounts.values())) == [[GATEWAY], [OPERATOR], [PROJECTOR], [RELAY], [WEBHOOKS]]


def _accounts() -> set[str]:
    return {user.account for user in USERS.values()}


def test_nobody_hears_the_answers_of_another() -> None:
    for user in USERS.values():
        for other in USERS.values():
            heard = [each for each in user.subscribe if covers(each, f"_INBOX.{other.name}.x")]
            assert bool(heard) == (user is other)
        assert not any(each.startswith(("$", ">", "*")) for each in user.subscribe)


def test_a_reader_of_the_log_writes_nothing() -> None:
    writes = ("CREATE", "UPDATE", "DELETE", "PURGE")
    for name in (PROJECTOR, OPERATOR):
        of_streams = [each for each in USERS[name].publish if each.startswith("$JS.API.STREAM.")]
        assert not [each for each in of_streams if each.split(".")[3] in writes]
        assert {each for each in USERS[name].publish if not each.startswith("$JS.")} <= {ABOUT_US}


def test_an_instance_speaks_for_itself_alone() -> None:
    users = {user.name: user for user in nats_users(("0", "eu"), ("one",))}
    assert _of_services(users[WEBHOOKS]) == {"mp.v1.svc.0.webhooks.one", "mp.v1.svc.eu.webhooks.one"}


def _of_services(user: NatsUser) -> set[str]:
    return {each for each in user.publish if each.startswith("mp.v1.")}


async def test_without_a_credential_nobody_comes_in(house: House) -> None:
    for options in (house.server.url, house.server.url.replace("//", "//kernel:guess@")):
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(connect(options, "tries"), 1)


async def test_a_refusal_is_an_error_of_whoever_asked(house: House) -> None:
    async with house.connected(PROJECTOR) as nc:
        with pytest.raises(PermissionsViolation, match="user projector: publish to"):
            await nc.jetstream(timeout=60).delete_stream(LOG)


KEYS = ("mp:lease:kernel-0", "mp:limit:principals:user:root", "mp:cache:x", "mp:other", "anything")
WRITERS = {"kernel": {KEYS[0]}, "gateway": {KEYS[1]}, "operator": set[str]()}
READERS = {"kernel": {KEYS[0]}, "gateway": {KEYS[1]}, "operator": set(KEYS[:4])}
FOR_NOBODY = (
    "FLUSHALL",
    "FLUSHDB",
    "CONFIG GET *",
    "CONFIG SET maxmemory 1",
    "CLIENT PAUSE 1",
    "CLIENT LIST",
    "CLIENT KILL TYPE normal",
    "KEYS *",
    "ACL LIST",
    "SHUTDOWN NOSAVE",
    "SAVE",
    "REPLICAOF NO ONE",
    "MONITOR",
    "SWAPDB 0 1",
    "SCRIPT FLUSH",
    "SCRIPT KILL",
    "FUNCTION LIST",
    "FUNCTION FLUSH",
    "FUNCTION KILL",
    "SCAN 0",
    "RANDOMKEY",
    "SELECT 1",
)


@pytest.fixture(scope="module")
def valkey(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[ValkeyServer, Credentials]]:
    folder: Path = tmp_path_factory.mktemp("valkey")
    credentials = Credentials(folder / "secrets")
    server = ValkeyServer(folder / "valkey", acl_file=credentials.redis_acl_file)
    server.start()
    yield server, credentials
    server.stop()


def client(valkey: tuple[ValkeyServer, Credentials], user: str) -> Redis:
    password = valkey[1].redis_password_file(user).read_text()
    return Redis(port=valkey[0].port, username=user, password=password)


async def allowed(redis: Redis, *words: str | int) -> bool:
    """A script does no more than its caller may, and says so as an error of the script."""
    try:
        await redis.execute_command(*words)  # type: ignore[no-untyped-call]  # the package says nothing of it
    except NoPermissionError:
        return False
    except ResponseError as error:
        if "NOPERM" in str(error) or "No permissions" in str(error):
            return False
        raise
    return True


@pytest.mark.parametrize("user", redis_rules())
async def test_each_user_of_redis_has_its_keys_and_no_others(
    valkey: tuple[ValkeyServer, Credentials], user: str
) -> None:
    async with client(valkey, user) as redis:
        assert {key for key in KEYS if await allowed(redis, "SET", key, "x", "PX", "100")} == WRITERS[user]
        assert {key for key in KEYS if await allowed(redis, "GET", key)} == READERS[user]
        script = "return redis.call('SET', KEYS[1], 'x', 'PX', 100)"
        written = {key for key in KEYS if await allowed(redis, "EVAL", script, 1, key)}
        assert written == WRITERS[user]
        assert [words for words in FOR_NOBODY if await allowed(redis, *words.split())] == []


@pytest.mark.parametrize("login", [{}, {"password": "guess"}, {"username": "kernel", "password": "guess"}])
async def test_without_a_password_redis_lets_nobody_in(
    valkey: tuple[ValkeyServer, Credentials], login: dict[str, str]
) -> None:
    async with Redis(port=valkey[0].port, **login) as redis:  # type: ignore[arg-type]  # texts, all of them
        with pytest.raises(AuthenticationError):
            await redis.get(KEYS[0])


def test_the_page_shows_what_the_servers_are_told() -> None:
    page = (ROOT / PAGE).read_text()
    assert written(page) == page, "run: make docs"


def test_the_restoring_users_seed_that_is_kept_offline_opens_what_it_opened(tmp_path: Path) -> None:
    made = Credentials(tmp_path / "secrets")
    entries = made.nats_accounts()
    seed, offline = made.nats_seed_file(RESTORE), tmp_path / "offline.seed"
    seed.rename(offline)
    again = Credentials(tmp_path / "secrets")
    assert not seed.exists(), "another one in its place would open nothing that the kept one opens"
    assert again.nats_accounts() == entries
    offline.rename(seed)
    assert Credentials(tmp_path / "secrets").nats_accounts() == entries
    seed.unlink()
    seed.with_suffix(".pub").unlink()
    assert Credentials(tmp_path / "secrets").nats_accounts() != entries, "both gone: a new key"


def test_a_reader_of_the_feed_reads_each_shard_of_the_installation(tmp_path: Path) -> None:
    made = Credentials(tmp_path / "secrets", ("0", "1"))
    made.add_feed_user("acme")
    (entry,) = [line for line in made.nats_accounts().splitlines() if "nkey: " in line and "_INBOX_feed_acme" in line]
    for shard in ("0", "1"):
        assert f"$JS.ACK.{subjects.feed_stream(shard)}.feed_acme.>" in entry
        assert f'"{subjects.feed_subjects(shard, "acme")}"' in entry


def test_nothing_is_pushed_to_a_reader_of_a_feed_so_that_no_other_reader_can(tmp_path: Path) -> None:
    made = Credentials(tmp_path / "secrets")
    made.add_feed_user("acme")
    streams = [line for line in made.nats_accounts().splitlines() if "{ stream:" in line]
    assert not [line for line in streams if "_INBOX_feed" in line]
    assert [line for line in streams if subjects.feed_subjects("0", "acme") in line]


@pytest.mark.parametrize("name", ["*", ">", 'a"b', "a\nb", 'acme" ] }', "a.b", ""])
def test_what_is_no_workspace_never_gets_into_the_configuration_of_nats(name: str) -> None:
    with pytest.raises(ValueError, match="is no workspace"):
        feed_entry(name, ["0"], "U")
