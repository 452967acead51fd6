"""The kernel's metrics. Bound once: counting happens per turn, not per command."""

from collections import Counter as Counts
from collections.abc import Callable, Mapping

from mpcore.access.verdict import Verdict
from mpcore.engine.sealed import Reply, Sealed
from mpschema.envelope import Outcome
from prometheus_client import Counter, Gauge, Histogram

_COMMANDS = Counter("mp_kernel_commands_total", "Commands decided, by outcome.", ["status"])
_REPEATS = Counter("mp_kernel_repeats_total", "Requests answered from the record.")
_AHEAD = Counter("mp_kernel_ahead_total", "Messages decided on their way, by what came of it.", ["result"])
_COMMITS = Counter("mp_kernel_commits_total", "Commits stored.")
_EVENTS = Counter("mp_kernel_events_total", "Events stored.")
_BYTES = Counter("mp_kernel_log_bytes_total", "Bytes of commits stored.")
_COMMIT_SECONDS = Histogram(
    "mp_kernel_commit_seconds",
    "From handing a commit to the log to its durable acknowledgement.",
    buckets=(0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 0.5, 1, 2.5),
)
_SEQ = Gauge("mp_kernel_seq", "The last event this kernel has stored or folded.")
_EPOCH = Gauge("mp_kernel_epoch", "The epoch this kernel knows.")
_LEADING = Gauge("mp_kernel_leading", "1 while this kernel leads.")
_ELECTIONS = Counter("mp_kernel_elections_total", "Elections this kernel won.")
_ELECTIONS_PER_MINUTE = Gauge(
    "mp_kernel_elections_per_minute", "Elections of all kernels in the last minute, as this one read them in the log."
)
_LEADER_KNOWN = Gauge("mp_kernel_leader_known", "1 while this kernel knows who leads.")
_KEEPER = Gauge("mp_kernel_lease_keeper_answers", "1 while a keeper of the leader's lease answers.", ["keeper"])
_CLOCK_AHEAD = Gauge(
    "mp_kernel_clock_ahead_seconds", "How far this machine's clock is ahead of the NATS server's; negative: behind."
)
_CLOCK_TRUSTED = Gauge("mp_kernel_clock_trusted", "1 while this machine's clock is believed: 0 keeps it from leading.")
_FAULTS = Counter(
    "mp_kernel_faults_total", "Lines, timers and follow-ups that failed by a fault of the kernel.", ["kind"]
)
_VERDICTS = Counter(
    "mp_kernel_verdicts_total", "Requests that policy judged, by the standing of the caller.", ["standing", "result"]
)
_DROPPED = Counter("mp_kernel_lines_dropped_total", "Lines nobody can read that left nothing in the log.")
_TRIED = Counter(
    "mp_kernel_lines_tried_total", "Lines decided by themselves where leaders had come no further.", ["result"]
)
_STEP_DOWNS = Counter("mp_kernel_step_downs_total", "Leaderships that ended, by cause.", ["cause"])


class KernelMetrics:
    """The kernel's counters, as the loop and the leadership speak to them."""

    def __init__(self) -> None:
        self._accepted = _COMMANDS.labels("accepted")
        self._rejected = _COMMANDS.labels("rejected")
        self._ahead = {True: _AHEAD.labels("stands"), False: _AHEAD.labels("undone")}
        self._settled: list[bool] = []
        self._verdicts: list[list[Verdict]] = []
        self._uncounted: list[tuple[Sealed, float]] = []

    def committed(self, sealed: Sealed, seconds: float) -> None:
        """Note a stored commit. The next `count` counts it: whoever waits for its answers does not wait for that."""
        self._uncounted.append((sealed, seconds))

    def repeated(self, replies: Mapping[str, list[Reply]]) -> None:
        """Count the requests of a turn that recorded nothing: all its answers are in the log."""
        _REPEATS.inc(sum(map(len, replies.values())))

    def settled(self, *, stands: bool) -> None:
        """Note that a speculative turn was kept, or rolled back. The next `count` counts it."""
        self._settled.append(stands)

    def count(self) -> None:
        """Count what was committed since, in a moment when nobody waits."""
        for sealed, seconds in self._uncounted:
            self._count(sealed, seconds)
        self._uncounted.clear()
        for stands in self._settled:
            self._ahead[stands].inc()
        self._settled.clear()
        said = Counts((verdict.standing, verdict.allowed) for verdicts in self._verdicts for verdict in verdicts)
        for (standing, allowed), number in said.items():
            _VERDICTS.labels(standing, "allowed" if allowed else "denied").inc(number)
        self._verdicts.clear()

    def _count(self, sealed: Sealed, seconds: float) -> None:
        accepted, rejected, repeats = _counts(sealed.replies)
        self._accepted.inc(accepted)
        self._rejected.inc(rejected)
        _REPEATS.inc(repeats)
        _COMMITS.inc()
        _EVENTS.inc(sealed.header.count)
        _BYTES.inc(len(sealed.data))
        _COMMIT_SECONDS.observe(seconds)
        _SEQ.set(sealed.last_seq)

    def folded(self, seq: int, epoch: int) -> None:
        """Show the position and epoch that a standby folded."""
        _SEQ.set(seq)
        _EPOCH.set(epoch)

    def failed(self, kind: str) -> None:
        """Count a line or a timer that could not be decided."""
        _FAULTS.labels(kind).inc()

    def judged(self, verdicts: list[Verdict]) -> None:
        """Take note of what policy said in a turn. Counted by the next `count`."""
        self._verdicts.append(verdicts)

    def dropped(self, lines: int) -> None:
        """Count lines that left no trace."""
        _DROPPED.inc(lines)

    def tried(self, *, refused: bool) -> None:
        """Count a line decided by itself, or refused because it had ended others who tried it."""
        _TRIED.labels("refused" if refused else "decided").inc()

    def leading(self, epoch: int) -> None:
        """Show that this kernel was elected."""
        _LEADING.set(1)
        _EPOCH.set(epoch)
        _ELECTIONS.inc()

    def count_elections(self, per_minute: Callable[[], int]) -> None:
        """Set the source of the number of elections."""
        _ELECTIONS_PER_MINUTE.set_function(per_minute)

    def leader_known(self, *, known: bool) -> None:
        """Show whether this kernel knows who leads."""
        _LEADER_KNOWN.set(known)

    def keeper(self, keeper: str, *, answers: bool) -> None:
        """Show whether a keeper of the lease answers."""
        _KEEPER.labels(keeper).set(answers)

    def clock(self, ahead_seconds: float) -> None:
        """Show the seconds by which the clock is ahead of the server's."""
        _CLOCK_AHEAD.set(ahead_seconds)

    def clock_trusted(self, *, trusted: bool) -> None:
        """Show whether the clock is believed."""
        _CLOCK_TRUSTED.set(trusted)

    def stepped_down(self, cause: str) -> None:
        """Show that this kernel leads no more, and count the cause."""
        _LEADING.set(0)
        _STEP_DOWNS.labels(cause).inc()


def _counts(replies: Mapping[str, list[Reply]]) -> tuple[int, int, int]:
    accepted = rejected = repeats = 0
    for answers in replies.values():
        for answer in answers:
            if not isinstance(answer, Outcome):
                repeats += 1
            elif answer.code is None:
                accepted += 1
            else:
                rejected += 1
    return accepted, rejected, repeats
