"""A backup is proven when it is taken, proven again when it is put back, and never put where something is already."""

from __future__ import annotations

import asyncio
import json
import stat
import subprocess
import sys
from pathlib import Path

import asyncpg
import pytest
from mpbus.reader import HASH_HEADER
from mpbus.streams import provision
from mpcli.exits import Exit
from mpd.servers import NatsServer
from mpoperator.log.restoration import EPOCHS_APART, commands_decided, restoration_epoch
from mpschema.system import LogRestored
from nats.aio.client import Client

from tests.support.cluster import read_log
from tests.support.database import Database
from tools.operator.tests.proving import DISPROVED, PROVED, REFUSED, Log, Ran, mpctl, on_bus


@pytest.fixture(scope="module")
def backup(log: Log, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A backup of the log, which nobody changes."""
    folder = tmp_path_factory.mktemp("backups") / "first"
    taken = log.mpctl("backup", "create", folder, "--json")
    assert taken.code == PROVED, taken.err
    return folder


@pytest.fixture
def copied(backup: Path, tmp_path: Path) -> Path:
    """A copy of the backup, to be spoiled."""
    folder = tmp_path / "copied"
    (folder / "log").mkdir(parents=True)
    for name in ("backup.json", "log/commits.jsonl.gz", "log/manifest.json"):
        (folder / name).write_bytes((backup / name).read_bytes())
    return folder


def verify(folder: Path) -> Ran:
    """`mpctl backup verify`, far from any server."""
    return mpctl("backup", "verify", folder, "--json", home=folder)


def restore(folder: Path, server: NatsServer, home: Path, *options: str, **settings: str) -> Ran:
    """`mpctl backup restore` into a server of its own, with no database unless one is named."""
    return mpctl("backup", "restore", folder, *options, "--json", home=home, MP_NATS_URL=server.url, **settings)


def rewritten(folder: Path, **fields: object) -> None:
    """Change the manifest of a backup, whose checksums are of the other files."""
    path = folder / "backup.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | fields))


def test_a_backup_says_what_the_log_is_and_what_it_leaves_out(log: Log, backup: Path) -> None:
    said = json.loads((backup / "backup.json").read_text())
    last = log.commits()[-1]
    assert (said["head"], said["seq"], said["epoch"]) == (last.hash, last.position.seq, last.header.epoch)
    assert said["aggregates"]["task"] > 100
    assert said["waiting_commands"] == 0
    text = mpctl("backup", "verify", backup, home=backup).out
    assert said["state_root"] in text
    assert said["head"] in text


def test_nobody_else_may_read_a_backup_for_it_holds_every_tenants_log(log: Log, tmp_path: Path) -> None:
    folder = tmp_path / "new" / "monday"
    assert log.mpctl("backup", "create", folder).code == PROVED
    modes = {path: stat.S_IMODE(path.stat().st_mode) for path in (folder, *folder.rglob("*"))}
    assert len(modes) == 5
    assert modes == {path: 0o700 if path.is_dir() else 0o600 for path in modes}


def test_its_state_root_is_the_one_that_a_replay_of_the_log_reaches(log: Log, backup: Path) -> None:
    replayed = log.mpctl("replay", "verify", "--json").json
    assert verify(backup).json["backup"]["state_root"] == replayed["state_root"]


@pytest.mark.parametrize("name", ["log/commits.jsonl.gz", "log/manifest.json"])
def test_one_flipped_byte_of_any_file_is_named(copied: Path, name: str) -> None:
    data = bytearray((copied / name).read_bytes())
    data[len(data) // 2] ^= 1
    (copied / name).write_bytes(data)
    finding = verify(copied).finding
    assert finding["where"] == "backup"
    assert finding["detail"].startswith(name)


def test_a_missing_file_is_named(copied: Path) -> None:
    (copied / "log" / "commits.jsonl.gz").unlink()
    assert "commits.jsonl.gz cannot be read" in verify(copied).finding["detail"]


def test_a_backup_that_folds_to_another_root_is_wrong(copied: Path) -> None:
    rewritten(copied, state_root="ab" * 32)
    finding = verify(copied).finding
    assert finding["where"] == "state"
    assert "ab" * 32 in finding["detail"]


def test_a_folder_without_a_manifest_is_no_backup(tmp_path: Path) -> None:
    ran = verify(tmp_path)
    assert ran.code == REFUSED
    assert "no backup" in ran.json["detail"]


def test_a_snapshot_that_may_be_there_stops_a_restoration(backup: Path, empty_nats: NatsServer, tmp_path: Path) -> None:
    """Another log's would be loaded by the first kernel."""
    silent = """
from mpstore.snapshots import objects
async def silent(*_):
    raise TimeoutError
objects.load_object = silent
"""
    ran = mpctl("backup", "restore", backup, "--json", home=tmp_path, MP_NATS_URL=empty_nats.url, patch=silent)
    assert ran.code == Exit.UNREACHABLE, ran.out + ran.err
    assert "whether a snapshot is stored is not known" in ran.out + ran.err


def test_a_backup_gets_a_folder_of_its_own(log: Log, backup: Path) -> None:
    ran = log.mpctl("backup", "create", backup, "--json")
    assert ran.code == REFUSED
    assert "not empty" in ran.json["detail"]


def test_keys_are_kept_apart_and_closed_and_come_back(log: Log, tmp_path: Path) -> None:
    inside = log.mpctl("backup", "create", tmp_path / "b1", "--with-keys", tmp_path / "b1" / "keys.json", "--json")
    assert (inside.code, "outside of the backup" in inside.json["detail"]) == (REFUSED, True)
    kept = tmp_path / "keys.json"
    assert log.mpctl("backup", "create", tmp_path / "b2", "--with-keys", kept).code == PROVED
    assert stat.S_IMODE(kept.stat().st_mode) == 0o600
    secrets = log.stack.keys.folder
    held = b"".join(path.read_bytes() for path in (tmp_path / "b2").rglob("*") if path.is_file())
    assert (secrets / "pepper").read_bytes() not in held
    back = tmp_path / "secrets"
    assert mpctl("backup", "restore-keys", kept, back, home=tmp_path).code == PROVED
    assert {path.name: path.read_text() for path in back.iterdir()} == {
        path.name: path.read_text() for path in secrets.iterdir()
    }
    assert {stat.S_IMODE(path.stat().st_mode) for path in back.iterdir()} == {0o600}
    (back / "pepper").write_text("another")
    assert mpctl("backup", "restore-keys", kept, back, home=tmp_path).code == REFUSED


def test_a_restored_log_is_the_same_bit_by_bit_and_goes_on_in_an_epoch_far_above(
    log: Log, backup: Path, empty_nats: NatsServer, tmp_path: Path
) -> None:
    ran = restore(backup, empty_nats, tmp_path)
    assert ran.code == PROVED, ran.err
    wanted = log.commits()
    found = on_bus(empty_nats.url, lambda nc: read_log(nc, log.stack.shard))
    assert [(c.stream_seq, c.hash, c.data, c.subject) for c in found[:-1]] == [
        (c.stream_seq, c.hash, c.data, c.subject) for c in wanted
    ]
    (record,) = found[-1].records
    event = record.event
    assert isinstance(event, LogRestored)
    assert (event.at_seq, event.head, event.source) == (wanted[-1].position.seq, wanted[-1].hash, "backup")
    assert event.state_root == ran.json["state_root"] == verify(backup).json["backup"]["state_root"]
    assert record.epoch == ran.json["epoch"] > wanted[-1].header.epoch + EPOCHS_APART
    assert found[-1].header.command_position == 0, "the new command stream counts from 1"
    assert mpctl("log", "verify", "--deep", home=tmp_path, MP_NATS_URL=empty_nats.url).code == PROVED
    again = restore(backup, empty_nats, tmp_path)
    assert (again.code, "only into an empty cluster" in again.json["detail"]) == (REFUSED, True)


def test_a_restoration_that_was_cut_off_goes_on(backup: Path, log: Log, empty_nats: NatsServer, tmp_path: Path) -> None:
    half = log.commits()[:40]

    async def begin(nc: Client) -> None:
        await provision(nc, log.stack.shard)
        for commit in half:
            await nc.jetstream().publish(commit.subject, commit.data, headers={HASH_HEADER: commit.hash})

    on_bus(empty_nats.url, begin)
    assert restore(backup, empty_nats, tmp_path).code == REFUSED
    ran = restore(backup, empty_nats, tmp_path, "--resume")
    assert ran.code == PROVED, ran.err
    found = on_bus(empty_nats.url, lambda nc: read_log(nc, log.stack.shard))
    assert [commit.hash for commit in found[:-1]] == [commit.hash for commit in log.commits()]


def test_commands_that_still_wait_beside_a_log_that_is_put_back_are_decided_later(empty_nats: NatsServer) -> None:
    async def positions(nc: Client) -> list[int]:
        seen = [await commands_decided(nc, "0")]
        await provision(nc, "0")
        seen.append(await commands_decided(nc, "0"))
        for _ in range(3):
            await nc.jetstream().publish("mp.v1.cmd.0", b"{}")
        seen.append(await commands_decided(nc, "0"))
        await nc.jetstream().purge_stream("MP_CMD_0", seq=3)
        seen.append(await commands_decided(nc, "0"))
        await nc.jetstream().purge_stream("MP_CMD_0")
        return [*seen, await commands_decided(nc, "0")]

    assert on_bus(empty_nats.url, positions) == [0, 0, 0, 2, 3]


def test_no_two_restorations_share_an_epoch_whichever_clock_is_wrong() -> None:
    now_ms = 1_800_000_000_000
    assert restoration_epoch(7, now_ms) == 1_800_000_000
    assert restoration_epoch(7, now_ms + 1_000) == 1_800_000_001
    assert restoration_epoch(1_800_000_009, now_ms) == 1_800_000_009 + EPOCHS_APART
    assert restoration_epoch(7, 0) == 7 + EPOCHS_APART


def test_a_damaged_backup_is_not_put_back(copied: Path, empty_nats: NatsServer, tmp_path: Path) -> None:
    data = bytearray((copied / "log" / "commits.jsonl.gz").read_bytes())
    data[-20] ^= 1
    (copied / "log" / "commits.jsonl.gz").write_bytes(data)
    assert restore(copied, empty_nats, tmp_path).code == DISPROVED
    assert on_bus(empty_nats.url, lambda nc: nc.jetstream().streams_info()) == []


def test_a_backup_is_of_one_shard(backup: Path, empty_nats: NatsServer, tmp_path: Path) -> None:
    ran = restore(backup, empty_nats, tmp_path, MP_SHARD="other")
    assert (ran.code, "is of shard" in ran.json["detail"]) == (REFUSED, True)


def place_projections(database: Database, position: int, log_hash: str) -> None:
    """A projection that has folded up to somewhere."""

    async def write() -> None:
        connection = await asyncpg.connect(database.owner_dsn)
        statement = "UPDATE mp.projections SET position = $1, stream_seq = 1, hash = $2 WHERE name = 'work'"
        await connection.execute(statement, position, log_hash)
        await connection.close()

    asyncio.run(write())


@pytest.mark.parametrize(
    ("position", "why"), [(1_000_000, "loses less"), (1, "has folded another log")], ids=["ahead", "another log"]
)
def test_read_models_that_would_never_fit_again_are_seen(
    backup: Path, empty_nats: NatsServer, tmp_path: Path, database: Database, position: int, why: str
) -> None:
    place_projections(database, position, "f" * 64)
    ran = restore(backup, empty_nats, tmp_path, MP_POSTGRES_OWNER_DSN=database.owner_dsn)
    assert (ran.code, why in ran.json["detail"]) == (REFUSED, True), ran.json
    ran = restore(backup, empty_nats, tmp_path, "--drop-read-models", MP_POSTGRES_OWNER_DSN=database.owner_dsn)
    assert ran.code == PROVED, ran.err


def test_help_says_what_is_not_part_of_a_backup() -> None:
    shown = subprocess.run(
        [sys.executable, "-c", "from mpctl.main import main; main()", "backup", "create", "--help"],
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    assert "Commands that wait" in shown
    assert "Keys" in shown
