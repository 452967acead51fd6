"""A clock that is wrong is found out before it dates anything, and recorded time neither leaps nor stands still."""

from dataclasses import dataclass

import pytest
import structlog
from mpkernel.metrics import KernelMetrics
from mpkernel.ports import ClockDistrusted, ServerClockUnavailable
from mpkernel.timekeeping import SECOND_NS, Timekeeper
from prometheus_client import REGISTRY

NOW_NS = 1_790_000_000 * SECOND_NS
DAY = 86_400
BOUND, SETTLE = 5, 10


@dataclass
class Hands:
    """A machine's two clocks and the server's, moved by hand; seconds each."""

    true: float = 0.0
    set_by: float = 0.0
    server_off: float = 0.0
    away: bool = False
    answer_takes: float = 0.0
    held_up: float = 0.0
    """For so long the next reading of both clocks is interrupted in its middle."""

    def wall_ns(self) -> int:
        """See `Clock`."""
        now = NOW_NS + int((self.true + self.set_by) * SECOND_NS)
        self.true, self.held_up = self.true + self.held_up, 0.0
        return now

    def steady_ns(self) -> int:
        """See `Clock`."""
        return int(self.true * SECOND_NS)

    async def now_ns(self) -> int:
        """See `ServerClock`."""
        if self.away:
            raise ServerClockUnavailable("away")
        self.true += self.answer_takes / 2
        now = NOW_NS + int((self.true + self.server_off) * SECOND_NS)
        self.true += self.answer_takes / 2
        return now

    async def stored_ns(self, stream_seq: int) -> int:
        """See `ServerClock`."""
        del stream_seq
        return await self.now_ns()


class Watched:
    """A timekeeper, what it was last asked, and how often it called for an end of the leadership."""

    def __init__(self, hands: Hands) -> None:
        self.hands = hands
        self.keeper = Timekeeper(hands, hands, KernelMetrics(), bound_seconds=BOUND, settle_seconds=SETTLE)
        self.ends = 0
        self.keeper.tell(self._end)

    def _end(self) -> None:
        self.ends += 1

    async def leads(self, last_record_seconds: float = -1) -> None:
        """Begin to lead; the last record is so many seconds from now."""
        assert await self.keeper.look()
        self.keeper.begin(NOW_NS // 1_000_000 + int((self.hands.true + last_record_seconds) * 1_000))
        await self.keeper.confirm(1)

    def recorded(self) -> float:
        """Recorded time in seconds, on the scale of the hands."""
        return (self.keeper.now_ms() - NOW_NS // 1_000_000) / 1_000

    async def passes(self, seconds: int) -> None:
        """Time passes, with a look each second."""
        for _ in range(seconds):
            self.hands.true += 1
            await self.keeper.look()


@pytest.fixture
def watched() -> Watched:
    """One with all its clocks right."""
    return Watched(Hands())


async def test_time_begins_at_the_wall_clock_and_runs_with_it(watched: Watched) -> None:
    await watched.leads()
    watched.hands.true += 100
    assert watched.recorded() == 100


@pytest.mark.parametrize("step", [DAY, -DAY, BOUND + 1, -BOUND - 1])
async def test_a_step_is_not_recorded_and_ends_the_leadership(watched: Watched, step: int) -> None:
    await watched.leads()
    watched.hands.set_by = step
    watched.hands.true += 0.5
    assert abs(watched.recorded() - 0.5) < 0.05
    assert watched.ends
    assert "the clock was set by" in watched.keeper.distrust


async def test_a_clock_that_was_set_draws_recorded_time_nowhere(watched: Watched) -> None:
    await watched.leads()
    watched.hands.set_by = DAY
    for _ in range(20):
        watched.hands.true += 1
        assert watched.recorded() == watched.hands.true


async def test_a_reading_that_was_interrupted_is_none(watched: Watched) -> None:
    await watched.leads()
    watched.hands.held_up = 2 * BOUND
    assert watched.recorded() == 2 * BOUND
    assert not watched.ends
    assert not watched.keeper.distrust


async def test_a_step_within_the_bound_is_followed_by_a_twentieth(watched: Watched) -> None:
    await watched.leads()
    watched.hands.set_by = 4
    watched.hands.true += 20
    assert watched.recorded() == 21
    watched.hands.true += 100
    assert watched.recorded() == 124
    assert not watched.ends


async def test_recorded_time_that_is_a_day_ahead_goes_on_at_nineteen_twentieths(watched: Watched) -> None:
    await watched.leads(last_record_seconds=DAY)
    watched.hands.true += 100
    assert watched.recorded() == DAY + 95


async def test_a_clock_that_was_set_and_set_back_dates_nothing_though_the_server_agreed(watched: Watched) -> None:
    """Server and kernel on one machine have one clock."""
    await watched.leads()
    watched.hands.set_by = watched.hands.server_off = DAY
    await watched.passes(SETTLE - 1)
    assert not await watched.keeper.look()
    watched.hands.set_by = watched.hands.server_off = 0
    await watched.passes(SETTLE - 1)
    assert not await watched.keeper.look()
    await watched.passes(2)
    assert await watched.keeper.look()
    await watched.leads()
    assert watched.recorded() == watched.hands.true


async def test_a_clock_that_was_set_and_stays_is_believed_once_it_runs_steadily(watched: Watched) -> None:
    watched.hands.set_by = watched.hands.server_off = -DAY
    await watched.passes(SETTLE)
    assert not await watched.keeper.look()
    await watched.passes(1)
    assert await watched.keeper.look()


@pytest.mark.parametrize(("off", "words"), [(DAY, "86,400.0 s ahead of"), (-6, "6.0 s behind")])
async def test_a_clock_that_is_not_the_servers_is_not_believed_until_it_is(off: int, words: str) -> None:
    watched = Watched(Hands(set_by=off))
    assert not await watched.keeper.look()
    assert words in watched.keeper.distrust
    assert watched.keeper.ahead_seconds == off
    assert REGISTRY.get_sample_value("mp_kernel_clock_ahead_seconds") == off
    assert REGISTRY.get_sample_value("mp_kernel_clock_trusted") == 0
    await watched.passes(3 * SETTLE)
    assert not await watched.keeper.look()
    watched.hands.set_by = 0
    await watched.passes(SETTLE + 2)
    assert await watched.keeper.look()
    assert REGISTRY.get_sample_value("mp_kernel_clock_trusted") == 1


async def test_a_server_whose_clock_leaves_ends_the_leadership(watched: Watched) -> None:
    await watched.leads()
    watched.hands.server_off = 2 * BOUND
    await watched.passes(1)
    assert watched.ends == 1
    assert "10.0 s behind" in watched.keeper.distrust


@pytest.mark.parametrize(("off", "words"), [(-2 * BOUND, "10.0 s ahead of"), (2 * BOUND, "10.0 s behind")])
async def test_the_stamp_of_the_election_is_what_counts(watched: Watched, off: int, words: str) -> None:
    assert await watched.keeper.look()
    watched.keeper.begin(0)
    watched.hands.server_off = off
    with pytest.raises(ClockDistrusted, match=words):
        await watched.keeper.confirm(1)


async def test_a_clock_set_between_look_and_election_does_not_date_it(watched: Watched) -> None:
    assert await watched.keeper.look()
    watched.hands.set_by = DAY
    with pytest.raises(ClockDistrusted, match="was set"):
        watched.keeper.begin(0)


async def test_small_steps_add_up_as_long_as_the_server_agrees(watched: Watched) -> None:
    await watched.leads()
    for _ in range(5):
        watched.hands.set_by += 3
        watched.hands.server_off += 3
        await watched.passes(1)
    assert not watched.ends


async def test_a_clock_that_crept_away_from_the_server_is_believed_once_it_runs_steadily(watched: Watched) -> None:
    """Each step is small: what was agreed upon moves with the clock only while the server agrees."""
    for _ in range(3):
        watched.hands.set_by += 3
        await watched.passes(1)
    watched.hands.server_off = watched.hands.set_by
    assert not await watched.keeper.look()
    await watched.passes(SETTLE)
    assert await watched.keeper.look()


async def test_a_server_that_is_away_is_no_verdict_on_a_leader_but_nobody_begins_without_it(watched: Watched) -> None:
    await watched.leads()
    watched.hands.away = True
    await watched.passes(60)
    assert not watched.ends
    assert not await watched.keeper.look()


async def test_nobody_begins_who_never_heard_the_server() -> None:
    watched = Watched(Hands(away=True))
    assert not await watched.keeper.look()
    assert watched.keeper.distrust == "the NATS server does not say what time it is: away"


async def test_who_gets_slow_answers_alone_says_so() -> None:
    watched = Watched(Hands(answer_takes=3))
    assert not await watched.keeper.look()
    assert watched.keeper.distrust.startswith("the NATS server took 3 s to say what time it is, and may take ")


async def test_an_answer_that_was_long_on_its_way_says_nothing(watched: Watched) -> None:
    await watched.leads()
    watched.hands.answer_takes, watched.hands.server_off = 4, 20
    await watched.passes(3)
    assert not watched.ends


async def test_a_long_time_without_a_leader_is_told(watched: Watched) -> None:
    with structlog.testing.capture_logs() as logs:
        await watched.leads(last_record_seconds=-DAY - 60)
    assert [entry["seconds"] for entry in logs if entry["event"] == "clock.jumped"] == [DAY + 60]


async def test_lost_belief_is_told_once_as_an_error(watched: Watched) -> None:
    await watched.leads()
    watched.hands.set_by = DAY
    with structlog.testing.capture_logs() as logs:
        await watched.passes(3)
    assert [entry["log_level"] for entry in logs if entry["event"] == "clock.distrusted"] == ["error"]


@pytest.mark.parametrize(("away", "answer_takes"), [(True, 0.0), (False, BOUND)])
async def test_an_old_comparison_with_the_servers_clock_deposes_nobody_and_lets_nobody_begin(
    watched: Watched, away: bool, answer_takes: float
) -> None:
    await watched.leads()
    watched.hands.away, watched.hands.answer_takes = away, answer_takes
    await watched.passes(3)
    assert not await watched.keeper.look()
    assert watched.keeper.doubt == ""  # A slow moment is none.
    await watched.passes(30)
    assert "the NATS server" in watched.keeper.doubt
    assert (watched.keeper.distrust, watched.ends) == ("", 0)
