"""Folding the log again reaches what was recorded; where it does not, the first event that parts two folds is named."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import pytest
from mpcore.engine.shard import Shard
from mpcore.engine.snapshot import state_root
from mpd.servers import NatsServer

from tools.operator.tests.proving import PROVED, REFUSED, USAGE, Log, write_log


def test_folding_from_the_first_event_reaches_every_recorded_root(log: Log) -> None:
    found = log.mpctl("replay", "verify", "--json").json
    shard = Shard()
    for commit in log.commits():
        shard.fold(commit.header, commit.records)
    assert found["checkpoints"] == len(log.mpctl("log", "checkpoints", "--json").json["checkpoints"])
    assert (found["events"], found["state_root"]) == (shard.world.seq, state_root(shard))


def test_folding_from_the_stored_snapshot_reaches_the_same_state(log: Log) -> None:
    whole = log.mpctl("replay", "verify", "--json").json
    found = log.mpctl("replay", "verify", "--from-snapshot", "--json").json
    assert 0 < found["from_seq"] < found["last_seq"]
    assert found["events"] < whole["events"]
    assert found["state_root"] == whole["state_root"]


def test_folding_may_end_earlier(log: Log) -> None:
    middle = log.commits()[60].position.seq
    assert log.mpctl("replay", "verify", "--to", str(middle), "--json").json["last_seq"] == middle


def test_a_doctored_root_is_not_reached_and_its_checkpoint_is_named(log: Log, empty_nats: NatsServer) -> None:
    first, second = log.mpctl("log", "checkpoints", "--json").json["checkpoints"][:2]
    commits = log.commits()
    datas = [commit.data for commit in commits[: first["stream_seq"]]]
    wrong = f"{first['state_root'][:-1]}{'0' if first['state_root'][-1] != '0' else '1'}"
    datas[-1] = datas[-1].replace(first["state_root"].encode(), wrong.encode())
    write_log(empty_nats.url, "0", datas, commits[0].subject)
    finding = log.mpctl_without_archive(empty_nats.url, "replay", "verify", "--json").finding
    assert (finding["where"], finding["seq"]) == ("state", first["at_seq"])
    assert wrong in finding["detail"]
    finding = log.mpctl_without_archive(empty_nats.url, "replay", "bisect", "--json").finding
    assert f"--to {first['at_seq']}" in finding["detail"], "it says how to find the event"
    assert second["at_seq"] > first["at_seq"]


def test_a_log_without_a_snapshot_is_not_folded_from_one(log: Log, empty_nats: NatsServer) -> None:
    write_log(empty_nats.url, "0", [commit.data for commit in log.commits()[:20]], log.commits()[0].subject)
    ran = log.mpctl_without_archive(empty_nats.url, "replay", "verify", "--from-snapshot")
    assert ran.code == REFUSED


def _lines(path: Path) -> list[dict[str, Any]]:
    data = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
    return [json.loads(line) for line in data.splitlines()]


def _write(path: Path, lines: list[dict[str, Any]]) -> Path:
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return path


def _dump(log: Log, path: Path, at: int) -> list[dict[str, Any]]:
    assert log.mpctl("replay", "dump", "--at", str(at), "--out", path).code == PROVED
    return _lines(path)


def test_a_dump_is_the_state_at_an_event_as_lines(log: Log, tmp_path: Path) -> None:
    head, own, *lines = _dump(log, tmp_path / "state.jsonl.gz", log.commits()[-1].position.seq)
    assert head["state_root"] == log.mpctl("replay", "verify", "--json").json["state_root"]
    assert own["state"]["seq"] == head["seq"]
    kinds = {line["kind"] for line in lines}
    assert kinds >= {"workspace", "project", "session", "channel", "task", "outcome"}
    done = [line for line in lines if line["kind"] == "task" and line["state"]["state"] == "done"]
    assert done
    printed = log.mpctl("replay", "dump", "--at", str(head["seq"])).out.splitlines()
    assert list(map(json.loads, printed)) == [head, own, *lines], "the same on standard output"


def test_the_state_inside_a_commit_can_be_seen(log: Log, tmp_path: Path) -> None:
    commit = next(commit for commit in log.commits() if commit.header.count > 3)
    inside = commit.header.first_seq + 1
    head = _dump(log, tmp_path / "state.jsonl", inside)[0]
    assert (head["seq"], head["commit_seq"], head["state_root"]) == (inside, commit.header.first_seq - 1, None)


def test_the_same_fold_agrees_with_its_own_dump_trace_and_snapshot(log: Log, tmp_path: Path) -> None:
    _dump(log, tmp_path / "state.jsonl", 1_000)
    assert log.mpctl("replay", "trace", "--from", "900", "--to", "1000", "--out", tmp_path / "trace.gz").code == PROVED
    for choice in (["--dump", tmp_path / "state.jsonl"], ["--trace", tmp_path / "trace.gz"], ["--snapshot"], []):
        ran = log.mpctl("replay", "bisect", *choice)
        assert (ran.code, "agree" in ran.out) == (PROVED, True), ran.err


def test_a_dump_that_differs_is_narrowed_down_to_event_field_and_values(log: Log, tmp_path: Path) -> None:
    """The other build never saw a task finished: its dump still has the state before."""
    records = [record for commit in log.commits() for record in commit.records]
    victim = next(record for record in records if record.name == "TaskCompleted" and record.seq > 700)
    last = records[-1].seq
    lines = _dump(log, tmp_path / "state.jsonl", last)
    for line in lines[1:]:
        if (line["kind"], line["id"]) == ("task", victim.aggregate_id):
            assert line["state"]["state"] == "done"
            line["state"]["state"] = "accepted"
    ran = log.mpctl("replay", "bisect", "--dump", _write(tmp_path / "other.jsonl", lines), "--json")
    assert ran.code == 8
    found = ran.json
    assert (found["seq"], found["event_id"]) == (victim.seq, victim.id)
    assert (found["kind"], found["aggregate_id"], found["field"]) == ("task", victim.aggregate_id, "state")
    assert (found["ours"], found["theirs"], found["exact"]) == ("done", "accepted", False)


def test_of_several_dumps_the_first_that_differs_bounds_the_search(log: Log, tmp_path: Path) -> None:
    _dump(log, tmp_path / "agreed.jsonl", 600)
    lines = _dump(log, tmp_path / "later.jsonl", 1_200)
    task = next(line for line in lines[1:] if line["kind"] == "task" and line["state"]["state"] == "done")
    task["state"]["version"] += 1
    other = _write(tmp_path / "other.jsonl", lines)
    ran = log.mpctl("replay", "bisect", "--dump", tmp_path / "agreed.jsonl", "--dump", other)
    assert ran.code == 8
    assert "agreed up to  event 600" in ran.out
    assert "version" in ran.out


ANOTHER_BUILD = """
import msgspec
from mpcore.engine import evolve
from mpschema.task import TaskCompleted
aggregate, step, reindex = evolve._STEPS[TaskCompleted]
def forgetful(state, event, record):
    new = step(state, event, record)
    return msgspec.structs.replace(new, version=new.version + 1) if record.seq > 800 else new
evolve._STEPS[TaskCompleted] = (aggregate, forgetful, reindex)
"""


def test_a_trace_of_another_build_names_the_exact_event(log: Log, tmp_path: Path) -> None:
    records = [record for commit in log.commits() for record in commit.records]
    victim = next(record for record in records if record.name == "TaskCompleted" and record.seq > 800)
    traced = tmp_path / "trace.jsonl.gz"
    assert log.mpctl("replay", "trace", "--out", traced, patch=ANOTHER_BUILD).code == PROVED
    ran = log.mpctl("replay", "bisect", "--trace", traced, "--json")
    assert ran.code == 8
    found = ran.json
    assert (found["seq"], found["event_id"], found["exact"]) == (victim.seq, victim.id, True)
    assert (found["field"], found["theirs"] - found["ours"]) == ("version", 1)


def test_a_build_that_folds_otherwise_does_not_reach_the_roots_and_finds_out_where(log: Log) -> None:
    """The kernel that wrote the log was right, this build is not: the snapshot it left says in which field."""
    checkpoints = log.mpctl("log", "checkpoints", "--json").json["checkpoints"]
    finding = log.mpctl("replay", "verify", "--json", patch=ANOTHER_BUILD).finding
    assert finding["seq"] == next(each["at_seq"] for each in checkpoints if each["at_seq"] > 800)
    ran = log.mpctl("replay", "bisect", "--snapshot", "--json", patch=ANOTHER_BUILD)
    assert ran.code == 8
    assert ran.json["field"] == "version"


def test_a_dump_of_another_log_is_refused(log: Log, tmp_path: Path) -> None:
    lines = _dump(log, tmp_path / "state.jsonl", 1_000)
    lines[0]["hash"] = "0" * 64
    assert log.mpctl("replay", "bisect", "--dump", _write(tmp_path / "other.jsonl", lines)).code == REFUSED


@pytest.mark.parametrize("content", ["", "{}", "not json"])
def test_a_file_that_is_no_dump_is_told_apart(log: Log, tmp_path: Path, content: str) -> None:
    path = tmp_path / "no-dump"
    path.write_text(content)
    assert log.mpctl("replay", "bisect", "--dump", path).code == USAGE
    assert log.mpctl("replay", "bisect", "--trace", path).code == USAGE
