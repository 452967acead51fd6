"""Counts of services that show somebody who harms them all."""

from __future__ import annotations

from mpoperator.doctor.report import DoctorCheck, ok, unknown, warning
from mpoperator.site.cluster import Cluster
from mpoperator.top.samples import Figures

_REPEATS_WARN, _REPEATS_SHARE = 1_000, 0.5
"""So many repeats are no client that lost an answer; and they are more than half of what the kernel answered."""
_REPEATED = "a client does not believe its answers: `mpctl top`, then the gateway's log, say whose requests they are"
_FAULT = "grep turn.fault in that kernel's log, and report what it shows: the line is refused for ever under its key"
_OVERSIZED = "the client splits it: context/operations/limits.md names the sizes"


async def count_checks(cluster: Cluster) -> list[DoctorCheck]:
    """Of every kernel and gateway whose operations address is known."""
    checks = []
    for name, url in cluster.settings.services.items():
        if (judge := JUDGES.get(name.partition("-")[0])) is None:
            continue
        text = await cluster.get_text(f"{url.rstrip('/')}/metrics")
        if text is None:
            checks.append(unknown(f"counts {name}", "does not tell its figures", because=f"service {name}"))
        else:
            checks.append(judge(f"counts {name}", Figures.parse(text)))
    return checks


def judge_kernel(name: str, figures: Figures) -> DoctorCheck:
    """Faults of the kernel, and repeats that are more than a client's lost answers."""
    faults, repeats = figures.total("mp_kernel_faults_total"), figures.total("mp_kernel_repeats_total")
    decided = figures.total("mp_kernel_commands_total")
    if faults:
        return warning(name, f"{faults:,.0f} lines or timers failed by a fault of the kernel", _FAULT)
    detail = f"{repeats:,.0f} repeats of answered commands beside {decided:,.0f} decided"
    if repeats >= _REPEATS_WARN and repeats > _REPEATS_SHARE * (repeats + decided):
        return warning(name, detail, _REPEATED)
    return ok(name, f"{detail}, no fault")


def judge_gateway(name: str, figures: Figures) -> DoctorCheck:
    """Commands and bodies that were refused because no commit could hold them."""
    lines = figures.values.get("mp_gateway_batch_lines_total{code=too_large}", 0.0)
    requests = sum(v for k, v in figures.values.items() if k.startswith("mp_gateway_requests_total") and "=413" in k)
    if lines or requests:
        return warning(name, f"{requests:,.0f} requests and {lines:,.0f} lines of batches were too large", _OVERSIZED)
    return ok(name, "nothing was too large")


JUDGES = {"kernel": judge_kernel, "gateway": judge_gateway}
