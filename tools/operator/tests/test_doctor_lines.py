"""One cause is told once and truly; the page has every line."""

from __future__ import annotations

import re
import socket
import subprocess
from pathlib import Path

import httpx
import pytest
from mpd.ports import free_port
from mpoperator.doctor.counts import judge_kernel
from mpoperator.doctor.lines import LINES, line_of
from mpoperator.doctor.report import State
from mpoperator.top.samples import Figures

from tests.support.terminal import PROGRAM
from tests.support.waiting import eventually_sync
from tools.operator.tests.doctoring import SICK, Patient


def test_one_cause_is_told_once_and_what_follows_from_it_in_one_line(patient: Patient) -> None:
    done = subprocess.run(
        [PROGRAM, "doctor"], env=patient.environment | {"MP_NATS_URL": f"nats://127.0.0.1:{free_port()}"},
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    bad = [line for line in done.stdout.splitlines() if not re.match(r"ok |\w+ +concern ", line)]
    assert (done.returncode, len(bad)) == (SICK, 3), bad
    cause, follow, count = bad
    assert cause.startswith("problem  nats  ")
    assert re.search(r"because of it: .*clock nats.*intake.*leader.*projection work", follow)
    assert "1 problem, and " in count


def test_services_that_lack_a_server_follow_from_it_and_a_dead_one_speaks_for_itself(patient: Patient) -> None:
    patient.stack.nats.kill()
    patient.stack.relays[0].kill()
    try:
        eventually_sync(lambda: patient.examine().checks["service gateway-1"].because == "nats", timeout=60)
        eventually_sync(lambda: patient.examine().checks["service kernel-1"].because == "nats", timeout=60)
        dead = patient.examine().checks["service relay-1"]
        assert (dead.state, dead.because) == (State.PROBLEM, "")
    finally:
        patient.stack.nats.start()
        patient.stack.relays[0].start()
    eventually_sync(lambda: patient.run().problems == {}, timeout=60)


def test_a_server_that_refuses_us_is_not_told_to_be_away(patient: Patient) -> None:
    found = patient.run(
        MP_NATS_NKEY_SEED_FILE="",
        MP_REDIS_USER="",
        MP_REDIS_PASSWORD_FILE="",
        MP_POSTGRES_OWNER_DSN=re.sub(r":[^:@/]*@", ":wrong@", patient.stack.postgres.dsn()),
    )
    for name in ("nats", "redis", "postgres"):
        check = found.problems[name]
        assert "refuses the credential" in check.detail, check
        assert "credentials.md" in check.mend, check


def test_something_else_that_listens_is_not_told_to_be_nobody(patient: Patient) -> None:
    with socket.create_server(("127.0.0.1", 0)) as deaf:
        found = patient.examine(MP_NATS_URL=f"nats://127.0.0.1:{deaf.getsockname()[1]}")
    assert "something listens at nats://127.0.0.1" in found.problems["nats"].detail


PAGE = Path(__file__).parents[3] / "context" / "operations" / "doctor.md"


def test_the_page_has_every_line_and_no_other() -> None:
    """Whatever any examination here says stands in `LINES`, too: `examined` looks."""
    _, _, rest = PAGE.read_text().partition("## Every line")
    lines, _, faults = rest.partition("## From a fault to its line")
    first = [row.split("|")[1] for row in lines.splitlines() if row.startswith("| `")]
    assert sorted(re.findall("`([^`]+)`", " ".join(first))) == sorted(LINES)
    faults, _, leading = faults.partition("## What its words")
    told = [row.split("|")[2] for row in faults.splitlines() if row.startswith("| ") and "---" not in row][1:]
    assert len(told) > 15
    named = [re.findall("`([^`]+)`", row) for row in told]
    assert all(named)
    assert {each for row in named for each in row} <= set(LINES)
    words = re.findall(r"^\| `([^`]+)`", leading.partition("## Settings")[0], re.MULTILINE)
    assert [each for each in words if line_of(each) is None] == []


@pytest.mark.parametrize(
    ("text", "state", "why"),
    [
        ('mp_kernel_commands_total{status="accepted"} 9\nmp_kernel_repeats_total 3\n', State.OK, "no fault"),
        (
            'mp_kernel_commands_total{status="accepted"} 9\nmp_kernel_repeats_total 5000\n',
            State.WARNING,
            "5,000 repeats",
        ),
        ('mp_kernel_commands_total{status="rejected"} 9000\nmp_kernel_repeats_total 5000\n', State.OK, "no fault"),
        ('mp_kernel_faults_total{kind="line"} 2\n', State.WARNING, "2 lines or timers failed"),
    ],
)
def test_what_a_kernel_counts_is_judged(text: str, state: State, why: str) -> None:
    check = judge_kernel("counts kernel-1", Figures.parse(text))
    assert (check.state, why in check.detail) == (state, True), check


def test_commands_that_no_commit_holds_are_told(patient: Patient) -> None:
    answer = httpx.post(
        f"{patient.stack.url}/v1/workspaces",
        headers={"authorization": f"Bearer {patient.stack.root_key}", "content-type": "application/json"},
        content=b'{"name": "' + b"x" * (2 << 20) + b'"}',
    )
    assert answer.status_code == 413, answer.text
    assert "1 requests and 0 lines" in patient.examine().checks["counts gateway-1"].detail
