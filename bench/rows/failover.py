"""The pause in writing when the leader is killed or asked to go: real kernels, eight writers."""

import time

import httpx
from mpd.services import ServiceProcess

from bench.load.orders import Order, Window, percentile
from bench.load.steady import AUDIT
from bench.processes import Worker
from bench.report import Baseline, Row, Target, row
from bench.rows.group import Group, Options, check
from bench.site import Site, site

FAILOVER = "failover_p99_ms"
HAND_OVER = "hand_over_p99_ms"
LEASE_TTL_SECONDS = 2.0
_ALLOWED = {
    FAILOVER: Baseline(name="lease TTL + 1 s", value=(LEASE_TTL_SECONDS + 1) * 1e3),
    HAND_OVER: Baseline(name="allowed pause", value=300.0),
}
_SIGNALS = {FAILOVER: "SIGKILL", HAND_OVER: "SIGTERM"}
_KERNELS = ("kernel-1", "kernel-2")
_WRITERS = 8
_LEADER_SECONDS_MAX = 30.0
_POLL_SECONDS = 0.02


def measure(options: Options) -> list[Row]:
    """Take the leader away, again and again."""
    with site(*_KERNELS, kernels=len(_KERNELS)) as here:
        here.found()
        with Worker("steady", here.place()) as load:
            rows = [_row(name, here, load, options.kills) for name in _SIGNALS if options.wants(name)]
            audit = load.window(Order(text=AUDIT))
        check(audit.refused == 0, f"{audit.refused} of {audit.count} commands are not in the log exactly once")
    for made in rows:
        made.details["acknowledged_and_found_once"] = float(audit.count)
    return rows


def _row(name: str, here: Site, load: Worker, kills: int) -> Row:
    windows = [_interrupted(here, load, _SIGNALS[name]) for _ in range(kills)]
    refused = sum(window.refused for window in windows)
    check(refused == 0, f"{refused} commands were refused")
    pauses = sorted(window.p99_ms for window in windows)
    p99 = percentile(pauses, 0.99)
    made = row(name, p99, "ms", _ALLOWED[name], target=Target(what="ratio", most=1))
    made.p50_ms, made.p99_ms = round(percentile(pauses, 0.5), 3), round(p99, 3)
    made.rounds = [round(window.p99_ms, 1) for window in windows]
    made.details = {"kills": float(kills), "max_ms": pauses[-1], "writers": float(_WRITERS)}
    return made


def _interrupted(here: Site, load: Worker, signal: str) -> Window:
    """One leader fewer, and one standby more when it is over."""
    leader = _leader(here)
    window = load.window(Order(in_flight=_WRITERS, count=leader.pid, text=signal))
    leader.wait(_LEADER_SECONDS_MAX)
    leader.start()
    return window


def _leader(here: Site) -> ServiceProcess:
    """The kernel that leads, as soon as one does and the other follows."""
    deadline = time.monotonic() + _LEADER_SECONDS_MAX
    while True:
        roles = {_role(kernel): kernel for kernel in here.stack.kernels}
        if roles.keys() == {"leader", "standby"}:
            return roles["leader"]
        check(time.monotonic() < deadline, f"no kernel leads after {_LEADER_SECONDS_MAX:g} s")
        time.sleep(_POLL_SECONDS)


def _role(kernel: ServiceProcess) -> str:
    """Return the role a kernel reports; empty when it does not answer."""
    try:
        return str(httpx.get(f"{kernel.url}/readyz", timeout=1).json()["role"])
    except httpx.TransportError:
        return ""


GROUP = Group(
    {
        FAILOVER: "longest pause between acknowledged commands around a SIGKILL of the leader, p99, 8 writers",
        HAND_OVER: "the same around a SIGTERM: a planned hand-over",
    },
    measure,
)
