"""Segments leave, come back and are checked anywhere; a lost log is rebuilt from the archive, bit by bit."""

from __future__ import annotations

import gzip
import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from mpbus.options import NatsOptions
from mpbus.streams import provision
from mpd.servers import NatsServer
from mpservice.rights import OPERATOR
from mpstore.snapshots.objects import ObjectSnapshots

from tests.support.cluster import read_log
from tools.operator.tests.proving import PROVED, REFUSED, Log, flip, on_bus, put_load_on


@pytest.fixture(scope="session")
def segment(log: Log, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The whole log, sealed."""
    folder = tmp_path_factory.mktemp("segments") / "whole"
    assert log.mpctl("log", "export", folder).code == PROVED
    return folder


@pytest.fixture
def copied(segment: Path, tmp_path: Path) -> Path:
    """A copy to be damaged."""
    return Path(shutil.copytree(segment, tmp_path / "copied"))


@pytest.fixture(scope="session")
def verifier(log: Log, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The offline verifier, as `mpctl log verifier` prints it."""
    path = tmp_path_factory.mktemp("offline") / "verify_segment.py"
    path.write_text(log.mpctl("log", "verifier").out)
    return path


def offline(verifier: Path, *arguments: str | Path, bare: bool = True) -> subprocess.CompletedProcess[str]:
    """Run the verifier: on a Python without any packages, or on one with ours."""
    flags = ["-I", "-S"] if bare else ["-I"]
    command = [sys.executable, *flags, str(verifier), *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)


def contents(url: str | NatsOptions) -> list[tuple[int, str, bytes, str]]:
    """Everything a log stream holds."""
    commits = on_bus(url, lambda nc: read_log(nc, "0"))
    return [(each.stream_seq, each.subject, each.data, each.hash) for each in commits]


def test_a_segment_exported_is_imported_elsewhere_and_verifies(log: Log, segment: Path, empty_nats: NatsServer) -> None:
    ran = log.mpctl("log", "import", "--as-it-was", segment, "--json", MP_NATS_URL=empty_nats.url)
    assert ran.code == PROVED
    assert contents(empty_nats.url) == contents(log.stack.bus(OPERATOR))
    assert log.mpctl("log", "verify", "--against", "archive", MP_NATS_URL=empty_nats.url).code == PROVED
    assert log.mpctl("replay", "verify", MP_NATS_URL=empty_nats.url).code == PROVED


def test_a_shard_that_holds_something_takes_no_import(log: Log, segment: Path) -> None:
    ran = log.mpctl("log", "import", segment)
    assert ran.code == REFUSED
    assert "holds" in ran.err


def test_a_segment_of_another_shard_is_refused(log: Log, segment: Path, empty_nats: NatsServer) -> None:
    ran = log.mpctl("log", "import", segment, MP_NATS_URL=empty_nats.url, MP_SHARD="1")
    assert ran.code == REFUSED


def test_a_segment_from_the_middle_verifies_and_cannot_stand_alone(
    log: Log, verifier: Path, empty_nats: NatsServer, tmp_path: Path
) -> None:
    commits = log.commits()
    first, last = commits[20].header.first_seq, commits[80].position.seq
    found = log.mpctl("log", "export", "--from", str(first), "--to", str(last), tmp_path / "middle", "--json").json
    assert (found["manifest"]["first_seq"], found["manifest"]["last_seq"]) == (first, last)
    assert offline(verifier, tmp_path / "middle").returncode == 0
    assert log.mpctl("log", "import", tmp_path / "middle", MP_NATS_URL=empty_nats.url).code == REFUSED


def test_the_same_stretch_gives_the_same_bytes(log: Log, segment: Path, tmp_path: Path) -> None:
    log.mpctl("log", "export", tmp_path / "again")
    for name in ("commits.jsonl.gz", "manifest.json"):
        assert (tmp_path / "again" / name).read_bytes() == (segment / name).read_bytes()


def test_an_export_overwrites_nothing(log: Log, copied: Path) -> None:
    assert log.mpctl("log", "export", copied).code == REFUSED


def test_a_bare_python_verifies_a_segment_and_says_that_signatures_are_open(segment: Path, verifier: Path) -> None:
    ran = offline(verifier, segment)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert ran.stdout.startswith("VERIFIED: events 1 to ")
    assert "SIGNATURES NOT CHECKED: `cryptography` is not installed here" in ran.stdout
    assert offline(verifier, "--require-signatures", segment).returncode == 3


def test_with_cryptography_it_verifies_the_signatures(log: Log, segment: Path, verifier: Path) -> None:
    key = log.stack.keys.public_key_file
    ran = offline(verifier, "--json", "--require-signatures", "--public-key", key, segment, bare=False)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert json.loads(ran.stdout)["signatures"] == "valid"
    assert "compare it with one kept elsewhere" in offline(verifier, segment, bare=False).stdout


def test_with_another_key_it_trusts_nothing(segment: Path, verifier: Path) -> None:
    other = "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a"  # RFC 8032, test 1.
    ran = offline(verifier, "--public-key", other, segment, bare=False)
    assert ran.returncode == 1
    assert "which is not trusted here" in ran.stdout


def _rewrite(folder: Path, line: int, old: str, new: str) -> None:
    path = folder / "commits.jsonl.gz"
    lines = gzip.decompress(path.read_bytes()).decode().splitlines(keepends=True)
    assert old in lines[line]
    lines[line] = lines[line].replace(old, new, 1)
    path.write_bytes(gzip.compress("".join(lines).encode()))


def test_a_byte_changed_in_a_segment_is_named(log: Log, copied: Path, verifier: Path, empty_nats: NatsServer) -> None:
    _rewrite(copied, 30, '\\"actor\\":', '\\"Actor\\":')
    ran = offline(verifier, copied)
    assert ran.returncode == 1
    assert ran.stdout.startswith("WRONG: commit 31 ")
    finding = log.mpctl("log", "import", copied, "--json", MP_NATS_URL=empty_nats.url).finding
    assert (finding["where"], finding["stream_seq"]) == ("segment", 31)


@pytest.mark.parametrize("part", [0.2, 0.5, 0.9])
def test_one_byte_flipped_on_disk_in_a_segment_is_named(copied: Path, verifier: Path, log: Log, part: float) -> None:
    path = copied / "commits.jsonl.gz"
    flip(path, int(path.stat().st_size * part))
    ran = offline(verifier, copied)
    assert ran.returncode == 1
    assert ran.stdout.startswith("WRONG: commit ")
    finding = log.mpctl("log", "import", copied, "--json").finding
    assert f"commit {finding['stream_seq']} " in ran.stdout, "both name the same commit"


def test_a_commit_left_out_of_a_segment_is_named(copied: Path, verifier: Path) -> None:
    path = copied / "commits.jsonl.gz"
    lines = gzip.decompress(path.read_bytes()).splitlines(keepends=True)
    path.write_bytes(gzip.compress(b"".join(lines[:40] + lines[41:])))
    assert offline(verifier, copied).stdout.startswith("WRONG: commit 41 ")
    path.write_bytes(gzip.compress(b"".join(lines[:40])))
    assert offline(verifier, copied).stdout.startswith("WRONG: commit 41 ")


def test_a_manifest_that_says_otherwise_is_named(copied: Path, verifier: Path) -> None:
    manifest = json.loads((copied / "manifest.json").read_text())
    for name, value in {"last_hash": "0" * 64, "events": 1, "content_sha256": "0" * 64, "checkpoints": []}.items():
        (copied / "manifest.json").write_text(json.dumps(manifest | {name: value}))
        ran = offline(verifier, copied)
        assert (ran.returncode, "manifest" in ran.stdout) == (1, True), name


def test_a_lost_log_is_restored_from_the_archive_bit_by_bit(log: Log, empty_nats: NatsServer) -> None:
    ran = log.mpctl("log", "restore", "--from", "archive", "--as-it-was", "--json", MP_NATS_URL=empty_nats.url)
    assert ran.code == PROVED, ran.err
    assert contents(empty_nats.url) == contents(log.stack.bus(OPERATOR))
    assert log.mpctl("log", "verify", "--against", "archive", MP_NATS_URL=empty_nats.url).code == PROVED
    assert log.mpctl("replay", "verify", MP_NATS_URL=empty_nats.url).code == PROVED


def test_a_log_that_is_there_is_not_restored_over(log: Log) -> None:
    assert log.mpctl("log", "restore", "--from", "archive").code == REFUSED


def test_a_tail_that_was_lost_comes_back_from_the_archive(log: Log, empty_nats: NatsServer, tmp_path: Path) -> None:
    middle = log.commits()[60].position.seq
    log.mpctl("log", "export", "--to", str(middle), tmp_path / "beginning")
    log.mpctl("log", "import", "--as-it-was", tmp_path / "beginning", MP_NATS_URL=empty_nats.url)
    assert log.mpctl("log", "restore", "--from", "archive", MP_NATS_URL=empty_nats.url).code == REFUSED
    ran = log.mpctl("log", "restore", "--from", "archive", "--resume", "--as-it-was", MP_NATS_URL=empty_nats.url)
    assert ran.code == PROVED, ran.err
    assert contents(empty_nats.url) == contents(log.stack.bus(OPERATOR))


def test_kernels_go_on_after_a_restore_in_a_new_epoch(log: Log, empty_nats: NatsServer) -> None:
    """New commands are decided, though the command stream begins anew where the log has consumed thousands."""
    before = contents(log.stack.bus(OPERATOR))
    ran = log.mpctl("log", "restore", "--from", "archive", "--json", MP_NATS_URL=empty_nats.url)
    assert ran.code == PROVED, ran.err
    kernel = log.stack.kernels[0]
    kept = dict(kernel.environment)
    try:
        kernel.environment["MP_NATS_URL"] = empty_nats.url
        kernel.start()
        put_load_on(log.stack, 0, url=empty_nats.url, workspace="second")
    finally:
        kernel.stop()
        kernel.environment.clear()
        kernel.environment.update(kept)
    commits = on_bus(empty_nats.url, lambda nc: read_log(nc, "0"))
    assert contents(empty_nats.url)[: len(before)] == before
    assert [record.name for record in commits[len(before)].records] == ["LogRestored"]
    assert commits[len(before)].header.epoch == ran.json["epoch"]
    assert commits[-1].header.epoch == ran.json["epoch"] + 1, "of the kernel that was elected"
    assert "second" in {record.workspace_id for record in commits[-1].records}


def test_what_is_lost_is_told_and_a_snapshot_of_it_does_not_survive(
    log: Log, empty_nats: NatsServer, tmp_path: Path
) -> None:
    snapshot = on_bus(log.stack.bus(OPERATOR), lambda nc: ObjectSnapshots(nc, "0").load())
    known = log.mpctl("replay", "verify", "--from-snapshot", "--json").json["from_seq"]
    last, archived = log.commits()[20].position.seq, log.commits()[-1].position.seq
    log.mpctl("log", "export", "--to", str(last), tmp_path / "beginning")
    on_bus(empty_nats.url, lambda nc: provision(nc, "0"))
    on_bus(empty_nats.url, lambda nc: ObjectSnapshots(nc, "0").store(snapshot))
    found = log.mpctl("log", "import", tmp_path / "beginning", "--json", MP_NATS_URL=empty_nats.url).json
    assert (found["lost_from_seq"], found["lost_to_seq"]) == (last + 1, archived)
    assert known < archived, "the archive saw more than the snapshot"
    assert on_bus(empty_nats.url, lambda nc: ObjectSnapshots(nc, "0").load()) is None
    assert log.mpctl_without_archive(empty_nats.url, "replay", "verify").code == PROVED
