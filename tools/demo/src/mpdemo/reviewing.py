"""The lead's judgement of evidence: a pure rule."""

from __future__ import annotations

import enum
from collections.abc import Sequence
from dataclasses import dataclass

from mpschema.task import Evidence

from mpdemo.checks import CHECK, exit_code

REJECTIONS_MAX = 1
"""The number of rejections before a person has to look at the work."""


class ReviewVerdict(enum.Enum):
    """The lead's decision about work handed in."""

    ACCEPT = "accept"
    REJECT = "reject"
    CANCEL = "cancel"


@dataclass(frozen=True)
class Judgement:
    """The verdict, and why."""

    verdict: ReviewVerdict
    reason: str


def judge(evidence: Sequence[Evidence], rejections: int) -> Judgement:
    """Accept when every check exited with 0 and a digest binds its output; send back once; then leave it to people."""
    checks = [each for each in evidence if each.kind == CHECK]
    flaw = _flaw(checks)
    if flaw is None:
        count = f"{len(checks)} checks" if len(checks) > 1 else "the check"
        return Judgement(ReviewVerdict.ACCEPT, f"{count} exited with 0")
    if rejections < REJECTIONS_MAX:
        return Judgement(ReviewVerdict.REJECT, f"{flaw}: run it once more")
    return Judgement(ReviewVerdict.CANCEL, f"{flaw}, again: a person has to look")


def _flaw(checks: Sequence[Evidence]) -> str | None:
    if not checks:
        return "no check was run"
    for each in checks:
        if each.sha256 is None:
            return "the output has no digest"
        if code := exit_code(each):
            return f"the check exited with {code}"
        if code is None:
            return "the evidence names no exit code"
    return None
