"""While the log is not whole, nobody is told to delete what may be the only copy of what it lost."""

from __future__ import annotations

import json
import platform
import signal
from pathlib import Path

import pytest
from mpbus.errors import ChainBroken, LogReplaced, halt_of
from mpd.servers import NatsServer
from mpoperator.doctor.examination import deduced
from mpoperator.doctor.folds import judge_halt
from mpoperator.doctor.leadership import judge_holder
from mpoperator.doctor.machine import judge_service
from mpoperator.doctor.report import DoctorCheck, DoctorReport, State, follows, ok, problem, unknown
from mpoperator.doctor.streams import judge_readers
from mpoperator.doctor.tail import Seen, judge_mending, judge_tail, only_then
from mpoperator.log.access import HOLDER
from mpoperator.log.marks import Mark
from mpoperator.site.cluster import Cluster
from mpoperator.site.settings import OperatorSettings
from mprelay.relay import FeedDiverged
from mpschema import subjects
from nats.aio.client import Client

from tools.operator.tests.advice import must_parse
from tools.operator.tests.doctoring import Examined, examined_with
from tools.operator.tests.proving import PROVED, Log, mpctl, on_bus

COMMITS = 20
KILLED = """
import os, signal
from mpoperator.log import mend
step = mend.{step}
async def last(*given, **named):
    await step(*given, **named)
    os.kill(os.getpid(), signal.SIGKILL)
mend.{step} = last
"""
"""The tool as it is, killed when a step of it is done."""
MARK = Mark(
    command="mpctl log mend '/kept here'",
    host=platform.node(),
    digest="d",
    stream_seq=20,
    seq=80,
    hash="f" * 64,
    epoch=3,
)
DELETES = ("--rebuild", "projection rebuild", "projection drop", "provision", "deploy the fix")
BEGUN = judge_mending(MARK, 40)


def told(*checks: DoctorCheck) -> dict[str, DoctorCheck]:
    """The lines of a report, by name."""
    report = {check.name: check for check in DoctorReport.of(deduced(list(checks))).checks}
    for check in report.values():
        must_parse(check.mend)
    return report


@pytest.mark.parametrize(
    ("mark", "end", "state", "detail"),
    [
        (None, 40, State.OK, "no mending was begun"),
        (MARK, 0, State.PROBLEM, "the log is being put back, and ends with event 0 of 80: a run was cut off"),
        (MARK, 40, State.PROBLEM, "the log is being put back, and ends with event 40 of 80: a run was cut off"),
        (MARK, 80, State.PROBLEM, "the log is being put back, and ends with event 80 of 80: a run was cut off"),
        (MARK, 81, State.OK, "the log is put back"),
        (MARK, None, State.PROBLEM, "cannot be read to its end: a run was cut off"),
    ],
)
def test_a_mending_that_was_cut_off_is_told(mark: Mark | None, end: int | None, state: State, detail: str) -> None:
    check = told(judge_mending(mark, end))["mending"]
    assert (check.state, detail in check.detail) == (state, True), check
    assert check.mend == ("mpctl log mend '/kept here'" if state is State.PROBLEM else "")


def test_a_folder_on_another_machine_is_named_with_it() -> None:
    mark = Mark(
        command="mpctl log mend /kept",
        host="elsewhere.example",
        digest="d",
        stream_seq=20,
        seq=80,
        hash="f" * 64,
        epoch=3,
    )
    assert told(judge_mending(mark, 40))["mending"].mend == "`mpctl log mend /kept` (on elsewhere.example)"


def test_a_lease_in_the_hands_of_a_tool_is_no_leader() -> None:
    assert judge_holder("kernel-1-abc").state is State.OK
    alone = told(judge_holder(f"{HOLDER}-1f0c9d2e"), ok("mending", "no mending was begun"))["leader"]
    assert (alone.state, alone.because) == (State.WARNING, "")
    assert "a tool holds it" in alone.detail
    assert "no kernel leads until it is done or for an hour" in alone.detail
    assert told(judge_holder(f"{HOLDER}-1f0c9d2e"), BEGUN)["leader"].because == "mending"


REPLACED = f"event 41 to 80: {type(LogReplaced(20)).__name__}: {LogReplaced(20)}"


def halted(error: Exception) -> dict[str, object]:
    """The facts at `/readyz` of a service that an error halts."""
    return {"ready": False, "halted_by": str(error), "halt": str(halt_of(error))}


def rests(cluster: Cluster) -> list[DoctorCheck]:
    """Return the checks that follow from a log that lacks its end."""
    return [
        judge_halt("archive", 80, REPLACED),
        judge_halt("work", 80, REPLACED),
        judge_service(cluster, "relay-1", "http://relay", halted(FeedDiverged("of another log"))),
        judge_service(cluster, "relay-2", "http://relay", halted(LogReplaced(20))),
        follows(problem("feed", "goes on to event 80", only_then("python -m mprelay --rebuild")), "log"),
    ]


@pytest.fixture
def cluster() -> Cluster:
    """Nobody answers in it."""
    return Cluster(OperatorSettings(nats_url="nats://127.0.0.1:1"), http=None)  # type: ignore[arg-type]


LOST = [check for check in [judge_tail(40, [Seen("the archive", 80), Seen("the feed", 79)])] if check]
UNSAID = unknown("mending", "whether a mending was begun is not known")


@pytest.mark.parametrize(
    ("causes", "line"),
    [([BEGUN], "mending"), ([BEGUN, *LOST], "mending"), (LOST, "log"), ([UNSAID], "mending")],
    ids=["mending", "both", "lost", "unknown"],
)
def test_what_follows_from_half_a_log_waits_for_it(causes: list[DoctorCheck], line: str, cluster: Cluster) -> None:
    report = told(*causes, *rests(cluster))
    for check in rests(cluster):
        found = report[check.name]
        assert (found.because, f"`{line}`" in found.mend) == (line, True), found
        assert not any(word in found.mend + found.detail for word in DELETES), found
    for cause in causes:
        assert not any(word in report[cause.name].mend for word in DELETES)


@pytest.mark.parametrize("causes", [[BEGUN], LOST], ids=["mending", "lost"])
def test_no_kernel_is_started_on_half_a_log(causes: list[DoctorCheck]) -> None:
    for name in ("leader", "service kernel-1"):
        check = told(*causes, problem(name, "no kernel leads", "mpd start --detach"))[name]
        assert (check.because, "mpd start" in check.mend) == (causes[0].name, False), check
        assert told(problem(name, "no kernel leads", "mpd start --detach"))[name].mend == "mpd start --detach"


def test_beside_a_whole_log_what_deletes_comes_behind_what_proves(cluster: Cluster) -> None:
    report = told(ok("mending", "no mending was begun"), ok("log", "event 81"), *rests(cluster))
    for name in ("projection archive", "service relay-1", "feed"):
        check = report[name]
        assert check.because == ""
        proof, _, then = check.mend.partition("; only where ")
        assert "`mpctl log verify --against archive`" in proof
        assert "rebuild" in then
    assert "deploy the fix" not in report["projection work"].mend
    assert "deploy the fix" in judge_halt("work", 80, "event 81: KeyError: 'x'").mend
    assert judge_halt("work", 80, f"event 81: {ChainBroken.__name__}: x").because == "log chain"


def test_a_lost_tail_is_told_with_who_saw_it_and_how_it_is_put_back() -> None:
    assert judge_tail(80, []) is None
    check = told(*LOST)["log"]
    assert check.detail == (
        "ends with event 40, and the archive saw event 80 and the feed saw event 79: its tail is lost"
    )
    assert "`mpctl log verify --against archive`" in check.mend
    assert told(*LOST, BEGUN)["log"].because == "mending"


@pytest.mark.parametrize(
    ("log", "snapshots", "state", "detail"),
    [
        (3, 1, State.OK, "3 consumers of MP_LOG_0, 1 consumers of OBJ_MP_SNAPSHOTS"),
        (3, 500, State.WARNING, "500 consumers of OBJ_MP_SNAPSHOTS, and NATS allows each 1,000: beyond that nobody"),
        (3, 1_000, State.PROBLEM, "beyond that nobody reads snapshots, or whether a mending was begun"),
        (1_000, 1, State.PROBLEM, "1,000 consumers of MP_LOG_0, and NATS allows each 1,000: beyond that nobody reads"),
        (600, 1_000, State.PROBLEM, "600 consumers of MP_LOG_0, 1,000 consumers of OBJ_MP_SNAPSHOTS"),
    ],
)
def test_consumers_of_each_stream_are_counted(log: int, snapshots: int, state: State, detail: str) -> None:
    check = judge_readers(
        {"MP_LOG_0": log, "OBJ_MP_SNAPSHOTS": snapshots}, "python -m mpservice provision --end-readers"
    )
    assert (check.state, detail in check.detail) == (state, True), check
    assert bool(check.mend) is (state is not State.OK)


@pytest.fixture
def home(log: Log, tmp_path: Path, empty_nats: NatsServer) -> Path:
    """A home with the first commits of a log, whose archive has all of it."""
    last = log.commits()[COMMITS - 1].position.seq
    assert log.mpctl("log", "export", "--to", str(last), tmp_path / "segment").code == PROVED
    (tmp_path / "operator.json").write_text(json.dumps({"nats_url": empty_nats.url}))
    assert mpctl("log", "import", "--as-it-was", tmp_path / "segment", home=tmp_path).code == PROVED
    return tmp_path


def _examined(home: Path, **settings: str) -> Examined:
    return examined_with({"MP_HOME": str(home), **settings})


def _published(url: str, subject: str, *headers: dict[str, str]) -> None:
    async def publish(nc: Client) -> None:
        for each in headers:
            await nc.jetstream().publish(subject, b"nobody of ours was me", headers=each)

    on_bus(url, publish)


def test_an_archive_that_goes_beyond_the_log_is_its_witness(log: Log, home: Path) -> None:
    found = _examined(home, MP_POSTGRES_OWNER_DSN=log.stack.postgres.dsn())
    check = found.problems["log"]
    assert "the archive saw event" in check.detail
    assert (check.because, found.checks["mending"].state) == ("", State.OK)
    leader = found.problems["leader"]
    assert (leader.because, leader.mend.startswith("wait for")) == ("log", True), "it would go on behind the loss"
    assert not any("rebuild" in each.mend for each in found.checks.values()), found


@pytest.mark.parametrize(
    ("beyond", "commit_hash", "witness"),
    [("ours", "", True), ("nobodys", "", False), ("ours", "f" * 64, False)],
    ids=["more of this log", "sent there", "of another log"],
)
def test_a_feed_that_goes_beyond_the_log_is_its_witness(
    log: Log, home: Path, empty_nats: NatsServer, beyond: str, commit_hash: str, witness: bool
) -> None:
    end = log.commits()[COMMITS - 1].position
    hashes = [commit_hash or end.hash] * (end.seq + 1)
    headers = [{"Nats-Msg-Id": f"0:1:{seq}", "Mp-Hash": found} for seq, found in enumerate(hashes, 1)]
    headers[-1] = headers[-1] if beyond == "ours" else {}
    _published(empty_nats.url, subjects.feed_subject("0", "acme", "task", "t1"), *headers)
    found = _examined(home)
    assert ("log" in found.problems) is witness, found.checks["log"]
    assert found.problems["feed"].because == ("log" if witness else "")
    assert ("--rebuild" in found.problems["feed"].mend) is not witness


def test_a_run_that_was_killed_is_told_until_one_ends_its_work(home: Path, empty_nats: NatsServer) -> None:
    _published(empty_nats.url, subjects.log_subject("0"), {})
    for step in ("_deleted", "prepare", "append"):
        ran = mpctl("log", "mend", home / "kept", home=home, patch=KILLED.format(step=step))
        assert ran.code == -signal.SIGKILL, ran.out + ran.err
        found = _examined(home)
        assert found.problems["mending"].mend == f"mpctl log mend {home / 'kept'}"
        assert (found.checks["leader"].state, found.checks["leader"].because) == (State.WARNING, "mending")
        missing, empty = found.problems.get("stream MP_LOG_0"), found.checks["log"]
        assert (missing.because if missing else "") == ("mending" if step == "_deleted" else "")
        assert (empty.because if empty.state is not State.OK else "") == ("" if step == "append" else "mending"), empty
        assert not any("mpkernel" in check.mend for check in (empty, found.checks["leader"]))
    assert mpctl("log", "mend", home / "kept", home=home).code == PROVED
    assert _examined(home).checks["mending"].state is State.OK
