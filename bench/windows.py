"""Windows in turn: baseline, ours, baseline, ours …; the machine's moods hit all alike, and the median is told."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from statistics import median

from bench.load.orders import Window
from bench.processes import Meter, Pids, wait_for_quiet


@dataclass(frozen=True)
class Lane:
    """One of the things measured in turn: what to run, and whose processor time counts for it."""

    name: str
    run: Callable[[], Window]
    pids: Pids


@dataclass
class Samples:
    """All windows of one lane."""

    name: str
    windows: list[Window] = field(default_factory=list)
    cpu_seconds: dict[str, float] = field(default_factory=dict)
    others_cores: list[float] = field(default_factory=list)

    @property
    def per_second(self) -> float:
        """Median rate."""
        return median(window.per_second for window in self.windows)

    @property
    def p50_ms(self) -> float:
        """Median of the windows' medians."""
        return median(window.p50_ms for window in self.windows)

    @property
    def p99_ms(self) -> float:
        """Median of the windows' 99th percentiles."""
        return median(window.p99_ms for window in self.windows)

    @property
    def count(self) -> int:
        """Everything done in all windows."""
        return sum(window.count for window in self.windows)

    @property
    def refused(self) -> int:
        """Everything refused in all windows."""
        return sum(window.refused for window in self.windows)

    @property
    def cpu_us(self) -> dict[str, float]:
        """Processor microseconds for one of what is counted, by process."""
        return {name: round(used / max(1, self.count) * 1e6, 1) for name, used in self.cpu_seconds.items()}

    @property
    def rates(self) -> list[float]:
        """The rate of each window."""
        return [round(window.per_second, 1) for window in self.windows]


@dataclass(frozen=True)
class Rhythm:
    """The number of rounds, and the longest wait of each for an idle machine."""

    rounds: int
    patience_seconds: float = 0.0


def in_turn(rhythm: Rhythm, lanes: Iterable[Lane]) -> dict[str, Samples]:
    """Each lane once a round, so many rounds. Returns the samples by lane."""
    lanes = list(lanes)
    samples = {lane.name: Samples(lane.name) for lane in lanes}
    for _ in range(rhythm.rounds):
        wait_for_quiet(rhythm.patience_seconds)
        for lane in lanes:
            meter = Meter(lane.pids)
            window = lane.run()
            used, others = meter.read()
            mine = samples[lane.name]
            mine.windows.append(window)
            mine.others_cores.append(others)
            for name, seconds in used.items():
                mine.cpu_seconds[name] = mine.cpu_seconds.get(name, 0.0) + seconds
    return samples
