"""`mpctl log verify` proves that the log is whole, and names the first commit that is not what was written."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import asyncpg
import pytest
from mpbus.connect import connect
from mpbus.reader import HASH_HEADER
from mpbus.streams import provision
from mpd.servers import NatsServer
from mpschema import codec

from tests.support.chain import Chain
from tests.support.database import Database
from tools.operator.tests.proving import PROVED, REFUSED, USAGE, Log, flip, mpctl, on_bus, write_log


def test_a_log_that_nobody_touched_verifies(log: Log) -> None:
    commits = log.commits()
    ran = log.mpctl("log", "verify", "--json")
    assert ran.code == PROVED
    assert len(ran.json["witnesses"]) == 2, "the stored snapshot and the archive know it, too"
    assert ran.json["head"] == commits[-1].hash
    assert (ran.json["first_seq"], ran.json["last_seq"]) == (1, commits[-1].position.seq)
    assert ran.json["commits"] == len(commits)


def test_a_stretch_of_it_verifies_from_the_commit_before(log: Log) -> None:
    commits = log.commits()
    inside = commits[40].header.first_seq
    ran = log.mpctl("log", "verify", "--from", str(inside), "--to", str(commits[60].position.seq), "--deep", "--json")
    assert (ran.json["first_seq"], ran.json["last_stream_seq"]) == (inside, commits[60].stream_seq)


def test_a_person_is_told_in_one_line(log: Log) -> None:
    assert "of shard 0 verify" in log.mpctl("log", "verify").out.splitlines()[0]


@pytest.fixture
def damaged(log: Log, tmp_path: Path) -> Iterator[NatsServer]:
    """A copy of the server, stopped, whose block file is there to be damaged."""
    server = log.copy_of_nats(tmp_path / "copy")
    yield server
    server.kill()


def _flip_in_stream(server: NatsServer, data: bytes) -> None:
    """Change one byte on disk, in the middle of one commit."""
    (block,) = (server.folder / "jetstream").rglob("MP_LOG_0/msgs/*.blk")
    flip(block, block.read_bytes().index(data) + len(data) // 2)


def test_one_byte_flipped_on_disk_is_named(log: Log, damaged: NatsServer) -> None:
    victim = log.commits()[50]
    _flip_in_stream(damaged, victim.data)
    damaged.start()
    finding = log.mpctl("log", "verify", "--json", MP_NATS_URL=damaged.url).finding
    assert (finding["where"], finding["stream_seq"]) == ("stream", victim.stream_seq)
    assert finding["seq"] == victim.header.first_seq
    assert finding["detail"] == f"commit {victim.stream_seq} is missing", "the server drops what fails its checksum"


def test_a_tail_the_server_cut_off_after_a_crash_is_named(log: Log, damaged: NatsServer) -> None:
    victim = log.commits()[50]
    _flip_in_stream(damaged, victim.data)
    for index in (damaged.folder / "jetstream").rglob("MP_LOG_0/msgs/index.db"):
        index.unlink()  # As after a crash: the server reads the block anew, and gives up at the first bad record.
    damaged.start()
    finding = log.mpctl("log", "verify", "--json", MP_NATS_URL=damaged.url).finding
    assert (finding["stream_seq"], finding["seq"]) == (victim.stream_seq, victim.header.first_seq)
    finding = log.mpctl("log", "verify", "--against", "archive", "--json", MP_NATS_URL=damaged.url).finding
    assert finding["stream_seq"] == victim.stream_seq


async def test_what_the_server_cut_off_is_told_where_nobody_else_saw_the_log(
    own_nats: NatsServer, tmp_path: Path
) -> None:
    nc = await connect(own_nats.url, "test")
    await provision(nc, "0")
    chain = Chain(nc, "0")
    for _ in range(100):
        await chain.append(20)
    await nc.close()
    own_nats.kill()
    (block,) = (own_nats.folder / "jetstream").rglob("MP_LOG_0/msgs/*.blk")
    flip(block, block.stat().st_size // 2)
    own_nats.start()
    ran = await asyncio.to_thread(mpctl, "log", "verify", "--json", home=tmp_path, MP_NATS_URL=own_nats.url)
    assert 40 < ran.finding["stream_seq"] < 60
    assert "the server found damage and cut off" in ran.finding["detail"]


def test_a_database_without_an_archive_is_told_apart(log: Log, empty_database: Database) -> None:
    ran = log.mpctl("log", "verify", "--against", "archive", MP_POSTGRES_OWNER_DSN=empty_database.owner_dsn)
    assert ran.code == REFUSED
    assert "is it migrated?" in ran.err


def _copy_of_log(log: Log, url: str, change: dict[int, tuple[bytes, str]]) -> None:
    """The same log in another stream, some commits' bytes and stated hashes replaced."""

    async def run(nc: Any) -> None:
        await provision(nc, "0")
        for commit in commits:
            data, stated = change.get(commit.stream_seq, (commit.data, commit.hash))
            await nc.jetstream(timeout=10).publish(commit.subject, data, headers={HASH_HEADER: stated})

    commits = log.commits()
    on_bus(url, run)


def test_a_byte_changed_under_a_valid_checksum_is_named(log: Log, empty_nats: NatsServer) -> None:
    victim = log.commits()[30]
    data = victim.data.replace(b'"actor":', b'"Actor":', 1)
    assert data != victim.data
    _copy_of_log(log, empty_nats.url, {31: (data, victim.hash)})
    finding = log.mpctl("log", "verify", "--json", MP_NATS_URL=empty_nats.url).finding
    assert finding["stream_seq"] == victim.stream_seq
    assert finding["detail"] == "the hash of the stored bytes is not the stated one"


HALVED = "import mpoperator.log.halves as halves; halves.COMMITS_MIN = 20"
"""Two processes check the log, each a half, as they do with a long one."""


def test_two_processes_find_what_one_finds(log: Log) -> None:
    alone, halved = (log.mpctl("log", "verify", "--json", patch=patch).json for patch in ("", HALVED))
    assert {**halved, "events_per_second": 0} == {**alone, "events_per_second": 0}
    halved = log.mpctl("log", "verify", "--from", "500", "--deep", "--json", patch=HALVED).json
    assert halved["events"] == halved["last_seq"] - halved["first_seq"] + 1


@pytest.mark.parametrize("bad", [(0.25,), (0.5,), (0.75,), (0.25, 0.75)])
def test_two_processes_name_the_first_bad_commit_wherever_it_is(
    log: Log, empty_nats: NatsServer, bad: tuple[float, ...]
) -> None:
    commits = log.commits()
    victims = [commits[int((len(commits) - 1) * share)] for share in bad]
    changed = {each.stream_seq: (each.data.replace(b'"actor":"', b'"actor":"x', 1), each.hash) for each in victims}
    _copy_of_log(log, empty_nats.url, changed)
    ran = log.mpctl("log", "verify", "--json", patch=HALVED, MP_NATS_URL=empty_nats.url)
    assert (ran.finding["stream_seq"], ran.finding["seq"]) == (victims[0].stream_seq, victims[0].header.first_seq)


def test_a_commit_written_anew_with_its_hash_breaks_the_next_link(log: Log, empty_nats: NatsServer) -> None:
    commits = log.commits()
    data = commits[30].data.replace(b'"actor":', b'"Actor":', 1)
    _copy_of_log(log, empty_nats.url, {31: (data, codec.commit_hash(commits[29].hash, commits[30].subject, data))})
    finding = log.mpctl("log", "verify", "--json", MP_NATS_URL=empty_nats.url).finding
    assert finding["stream_seq"] == commits[31].stream_seq


def test_an_event_that_does_not_fit_its_schema_is_found_when_asked_for(log: Log, empty_nats: NatsServer) -> None:
    commits = log.commits()
    datas = [commit.data for commit in commits]
    datas[20] = datas[20].replace(b'"actor":', b'"acTor":', 1)
    write_log(empty_nats.url, "0", datas, commits[0].subject)
    assert log.mpctl_without_archive(empty_nats.url, "log", "verify").code == PROVED, "the chain itself holds"
    finding = log.mpctl_without_archive(empty_nats.url, "log", "verify", "--deep", "--json").finding
    assert finding["stream_seq"] == 21
    assert "acTor" in finding["detail"]


def _execute(log: Log, statement: str, *values: object) -> None:
    async def run() -> None:
        connection = await asyncpg.connect(log.stack.postgres.dsn())
        try:
            await connection.execute(statement, *values)
        finally:
            await connection.close()

    asyncio.run(run())


@pytest.mark.parametrize(
    ("table", "change", "told"),
    [
        ("log_events", "event = set_byte(event, 20, get_byte(event, 20) # 1)", "event {seq} differs from the stream"),
        ("log_events", "hash = repeat('0', 64)", "states a hash or a commit that is not its own"),
        ("log_commits", "header = set_byte(header, 9, get_byte(header, 9) # 1)", "the header of the commit is another"),
        ("log_commits", "hash = repeat('0', 64)", "the hash of the stored bytes is not the stated one"),
        ("log_commits", "subject = 'mp.v1.log.1'", "carries the subject 'mp.v1.log.1'"),
    ],
)
def test_one_byte_flipped_in_the_archive_is_named(log: Log, table: str, change: str, told: str) -> None:
    victim = log.commits()[45]
    seq = victim.header.first_seq
    where = f"seq = {seq}" if table == "log_events" else f"stream_seq = {victim.stream_seq}"
    _execute(log, f"CREATE TABLE kept AS SELECT * FROM mp.{table} WHERE {where}")
    try:
        _execute(log, f"UPDATE mp.{table} SET {change} WHERE {where}")
        finding = log.mpctl("log", "verify", "--against", "archive", "--json").finding
    finally:
        _execute(log, f"DELETE FROM mp.{table} WHERE {where}")
        _execute(log, f"INSERT INTO mp.{table} SELECT * FROM kept")
        _execute(log, "DROP TABLE kept")
    assert (finding["where"], finding["stream_seq"], finding["seq"]) == ("archive", victim.stream_seq, seq)
    assert told.format(seq=seq) in finding["detail"]


def test_an_event_missing_in_the_archive_is_named(log: Log) -> None:
    seq = log.commits()[45].header.first_seq
    _execute(log, f"CREATE TABLE kept AS SELECT * FROM mp.log_events WHERE seq = {seq}")
    try:
        _execute(log, f"DELETE FROM mp.log_events WHERE seq = {seq}")
        finding = log.mpctl("log", "verify", "--against", "archive", "--json").finding
    finally:
        _execute(log, "INSERT INTO mp.log_events SELECT * FROM kept")
        _execute(log, "DROP TABLE kept")
    assert finding["detail"] == f"event {seq} is missing"


def test_an_archive_that_stays_behind_is_no_proof(log: Log) -> None:
    last = log.commits()[-1]
    _execute(log, f"CREATE TABLE kept AS SELECT * FROM mp.log_commits WHERE stream_seq = {last.stream_seq}")
    try:
        _execute(log, f"DELETE FROM mp.log_commits WHERE stream_seq = {last.stream_seq}")
        finding = log.mpctl("log", "verify", "--against", "archive", "--wait", "0.1", "--json").finding
    finally:
        _execute(log, "INSERT INTO mp.log_commits SELECT * FROM kept")
        _execute(log, "DROP TABLE kept")
    assert (finding["where"], finding["stream_seq"]) == ("archive", last.stream_seq)
    assert log.mpctl("log", "verify", "--against", "archive").code == PROVED, "everything is as it was"


def test_a_role_that_does_not_see_every_row_proves_nothing(log: Log) -> None:
    dsn = log.stack.postgres.dsn("mp_gateway")
    ran = log.mpctl("log", "verify", "--against", "archive", MP_POSTGRES_OWNER_DSN=dsn)
    assert ran.code == REFUSED
    assert "does not see every row" in ran.err


def test_who_knows_no_server_is_told_what_to_set(tmp_path: Path) -> None:
    ran = mpctl("log", "verify", home=tmp_path)
    assert ran.code == USAGE
    assert "MP_NATS_URL" in ran.err


def test_checkpoints_are_signed_and_agree_with_the_chain(log: Log) -> None:
    found = log.mpctl("log", "checkpoints", "--signed", "--json").json
    assert len(found["checkpoints"]) >= 3
    assert {each["verdict"] for each in found["checkpoints"]} == {"valid"}
    heads = {commit.position.seq: commit.hash for commit in log.commits()}
    assert all(heads[each["at_seq"]] == each["head"] for each in found["checkpoints"])


def test_a_signature_by_another_key_is_not_accepted(log: Log, tmp_path: Path) -> None:
    other = tmp_path / "other.pub"
    other.write_text("d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a")  # RFC 8032, test 1.
    finding = log.mpctl("log", "checkpoints", "--public-key", other, "--json").finding
    assert "is by a key that was not given" in finding["detail"]


@pytest.mark.parametrize("field", ["state_root", "signature"])
def test_a_doctored_checkpoint_in_a_chain_made_anew_is_caught_by_its_signature(
    log: Log, empty_nats: NatsServer, field: str
) -> None:
    first = log.mpctl("log", "checkpoints", "--json").json["checkpoints"][0]
    value = first[field]
    raw = base64.b64decode(value) if field == "signature" else bytes.fromhex(value)
    wrong = bytes([raw[0] ^ 1]) + raw[1:]
    changed = base64.b64encode(wrong).decode() if field == "signature" else wrong.hex()
    commits = log.commits()
    datas = [commit.data for commit in commits]
    at = first["stream_seq"] - 1
    datas[at] = datas[at].replace(value.encode(), changed.encode())
    # Everything before the checkpoint stays, so that the head it names is still the chain's.
    until = at + 1
    write_log(empty_nats.url, "0", datas[:until], commits[0].subject)
    assert log.mpctl_without_archive(empty_nats.url, "log", "verify").code == PROVED, "the chain itself holds"
    finding = log.mpctl_without_archive(empty_nats.url, "log", "checkpoints", "--json").finding
    assert (finding["where"], finding["seq"]) == ("checkpoint", first["seq"])
    assert "does not verify" in finding["detail"]


def test_a_checkpoint_over_a_history_written_anew_names_a_head_the_chain_never_had(
    log: Log, empty_nats: NatsServer
) -> None:
    commits = log.commits()
    datas = [commit.data for commit in commits]
    datas[10] = datas[10].replace(b'"actor":"user:root"', b'"actor":"user:eve."', 1)
    write_log(empty_nats.url, "0", datas, commits[0].subject)
    assert log.mpctl_without_archive(empty_nats.url, "log", "verify").code == PROVED, "the chain itself holds"
    finding = log.mpctl_without_archive(empty_nats.url, "log", "checkpoints", "--json").finding
    assert "says the chain's hash" in finding["detail"]


def test_a_history_written_anew_is_caught_by_whoever_saw_the_old_one(log: Log, empty_nats: NatsServer) -> None:
    commits = log.commits()
    datas = [commit.data for commit in commits]
    datas[10] = datas[10].replace(b'"actor":"user:root"', b'"actor":"user:eve."', 1)
    write_log(empty_nats.url, "0", datas, commits[0].subject)
    finding = log.mpctl("log", "verify", "--json", MP_NATS_URL=empty_nats.url).finding
    assert "the archive saw another commit there" in finding["detail"]
