"""A kernel tries to lead once it has folded what there is, with a clock to believe in, and says how it stands."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import pytest
import structlog
from mpbus.errors import ForeignMessage, NoLog
from mpbus.reader import GENESIS, Commit, LogPosition
from mpcore.access.policy import RoleAuthorizer
from mpcore.engine.shard import Shard
from mpcore.engine.turn import Turn
from mpcore.state.facts import Fact
from mpkernel import watch
from mpkernel.adapters.memory import MemoryCommands, MemoryIntake
from mpkernel.answers import Answers
from mpkernel.leadership import Kernel, KernelRole, Memory
from mpkernel.leases import KeptLease
from mpkernel.loop import Candidacy, Leader
from mpkernel.metrics import KernelMetrics
from mpkernel.sealing import Sealing
from mpkernel.standing import KernelStatus
from mpkernel.timekeeping import Timekeeper
from mpschema import codec, subjects
from mpschema.system import LeaderElected
from mpstore.leases import LeaseUnavailable
from mpstore.leases.memory import MemoryLease, MemoryLeases
from mpstore.log import CommitTooLarge, Deposed, Unknown
from mpstore.log.memory import MemoryLog
from mpstore.snapshots.memory import MemorySnapshots
from prometheus_client import REGISTRY

from tests.support import eventually

TTL_SECONDS = 100.0


class SlowLog(MemoryLog):
    """A log that is read no sooner than allowed."""

    def __init__(self) -> None:
        super().__init__()
        self.shard = Shard()
        self.asked, self.allowed = asyncio.Event(), asyncio.Event()

    async def follow(self, after: LogPosition = GENESIS) -> AsyncIterator[list[Commit]]:
        self.asked.set()
        await self.allowed.wait()
        async for commits in super().follow(after):
            yield commits

    async def fill(self, elections: int, epochs_apart: int = 1) -> None:
        """So many commits more."""
        for _ in range(elections):
            shard, position, epoch = self.shard, await self.head(), self.shard.world.epoch + epochs_apart
            turn = Turn(shard, epoch, epoch, RoleAuthorizer())
            turn.note(Fact("log", "log", LeaderElected(leader_epoch=epoch, node="k0")), f"election_{epoch}:0")
            sealed = turn.seal(position.hash)
            commit_hash = codec.commit_hash(position.hash, subjects.log_subject("0"), sealed.data)
            await self.append(sealed.data, commit_hash, position, 1.0)


def never(memory: Memory) -> Leader:
    """Nobody leads here."""
    raise AssertionError(f"it leads from event {memory.position.seq}")


class Silent(MemoryLease):
    """Kept by a keeper that answers while it is told to."""

    answers = True

    async def free(self) -> bool:
        if not self.answers:
            raise LeaseUnavailable("gone")
        return await super().free()


@dataclass
class Machine:
    """A kernel and what is around it. Its clock is off by so many seconds from that of the log's server."""

    log: MemoryLog = field(default_factory=MemoryLog)
    leases: MemoryLeases = field(default_factory=lambda: MemoryLeases(lambda: 0.0))
    clock_off: int = 0
    make_leader: Callable[[Memory], Leader] = never
    renew_seconds: float = TTL_SECONDS
    lacks: str = ""
    """A sentence while the log is being put back."""

    def __post_init__(self) -> None:
        metrics = KernelMetrics()
        self.lease = Silent(self.leases, "kernel", "this", TTL_SECONDS)
        kept = KeptLease(self.lease, "jetstream", metrics, time.monotonic)
        self.timekeeper = Timekeeper(self, self.log, metrics, bound_seconds=5)
        standing = KernelStatus(kept, kept, [], self.timekeeper, metrics, patience_seconds=0.1)
        self.kernel = Kernel(
            self.log,
            kept,
            MemorySnapshots(),
            self.make_leader,
            timekeeper=self.timekeeper,
            standing=standing,
            reducer_digest="x",
            renew_seconds=self.renew_seconds,
            metrics=metrics,
            lacking=self._lacking,
        )

    async def leases_free(self) -> bool:
        """Tell whether another could take the lease."""
        return await MemoryLease(self.leases, "kernel", "another", TTL_SECONDS).free()

    async def _lacking(self, _: LogPosition) -> str:
        return self.lacks

    def wall_ns(self) -> int:
        """See `Clock`."""
        return time.time_ns() + self.clock_off * 10**9

    def steady_ns(self) -> int:
        """See `Clock`."""
        return time.monotonic_ns()

    async def send(self, reply_to: str, data: bytes) -> None:
        """See `Replies`. Nobody asks here."""
        raise AssertionError(f"{reply_to} is answered {data!r}")


class Refusing(MemoryLog):
    """A log that stores nothing while it has a reason."""

    reason: Exception | None = None

    async def append(self, data: bytes, commit_hash: str, after: LogPosition, deadline_seconds: float) -> int:
        if self.reason is not None:
            raise self.reason
        return await super().append(data, commit_hash, after, deadline_seconds)


def may_lead(log: MemoryLog, renew_seconds: float = TTL_SECONDS, leases: MemoryLeases | None = None) -> Machine:
    """A machine whose kernel leads as soon as it may."""

    def leader(memory: Memory) -> Leader:
        wake = asyncio.Event()
        return Leader(
            Candidacy("this", subjects.log_subject("0"), (), 5.0, "this-a"),
            memory.shard,
            memory.position,
            clock=machine.timekeeper,
            writer=log,
            intake=MemoryIntake(MemoryCommands(), wake),
            answers=Answers(log, machine, memory.places),
            authorizer=RoleAuthorizer(),
            sealing=Sealing(MemorySnapshots(), "x", 0, wake),
            metrics=KernelMetrics(),
            wake=wake,
        )

    leases = leases or MemoryLeases(lambda: 0.0)
    machine = Machine(log, leases, make_leader=leader, renew_seconds=renew_seconds)
    return machine


@asynccontextmanager
async def running(kernel: Kernel) -> AsyncIterator[None]:
    """While the kernel runs."""
    task = asyncio.create_task(kernel.run())
    yield
    kernel.stop()
    await task


async def test_a_cold_kernel_neither_says_that_it_is_ready_nor_takes_the_lease() -> None:
    log = SlowLog()
    await log.fill(elections=3)
    machine = Machine(log)
    kernel, leases = machine.kernel, machine.leases
    async with running(kernel):
        await log.asked.wait()
        assert (kernel.role, kernel.health().ready, leases.holder("kernel")) == (KernelRole.STARTING, False, None)
        leases.put("kernel", "another", TTL_SECONDS)
        log.allowed.set()
        await eventually(lambda: kernel.role is KernelRole.STANDBY)
        assert kernel.health().facts["seq"] == 3


async def test_a_standby_says_who_leads_and_is_not_ready_while_nobody_says_who_may() -> None:
    machine = Machine()
    machine.leases.put("kernel", "another", TTL_SECONDS)
    async with running(machine.kernel):
        await eventually(lambda: machine.kernel.health().facts["leader"] == "another")
        await eventually(lambda: machine.kernel.health().ready)
        machine.lease.answers = False
        await eventually(lambda: not machine.kernel.health().ready)
        facts = machine.kernel.health().facts
        assert (facts["leader"], facts["lease"]) == ("", "jetstream does not answer: gone")
        assert REGISTRY.get_sample_value("mp_kernel_lease_keeper_answers", {"keeper": "jetstream"}) == 0
        assert REGISTRY.get_sample_value("mp_kernel_leader_known") == 0
        machine.lease.answers = True
        await eventually(lambda: machine.kernel.health().ready)
        assert machine.kernel.health().facts["lease"] == "ok"


async def test_a_kernel_with_a_wrong_clock_takes_no_lease_and_says_so() -> None:
    machine = Machine(clock_off=86_400)
    async with running(machine.kernel):
        await eventually(lambda: machine.kernel.role is KernelRole.STANDBY)
        health = machine.kernel.health()
        assert not health.ready
        assert health.facts["clock"] == "the clock is 86,400.0 s ahead of the NATS server's, more than 5 s"
        assert machine.leases.holder("kernel") is None
        machine.leases.put("kernel", "another", TTL_SECONDS)
        await eventually(lambda: machine.kernel.health().facts["leader"] == "another")


async def test_a_kernel_that_can_look_at_its_clock_no_more_ends_and_says_why() -> None:
    class Broken(MemoryLog):
        async def now_ns(self) -> int:
            if machine.kernel.role is KernelRole.STANDBY:
                raise ZeroDivisionError
            return await super().now_ns()

    machine = Machine(Broken())
    machine.leases.put("kernel", "another", TTL_SECONDS)
    with pytest.raises(ZeroDivisionError):
        await machine.kernel.run()


async def test_elections_since_it_was_up_to_date_are_counted() -> None:
    log = SlowLog()
    await log.fill(elections=3)
    log.allowed.set()
    machine = Machine(log)
    machine.leases.put("kernel", "another", TTL_SECONDS)
    async with running(machine.kernel):
        await eventually(lambda: machine.kernel.role is KernelRole.STANDBY)
        assert machine.kernel.health().facts["elections_per_minute"] == 0
        await log.fill(elections=2)
        await eventually(lambda: machine.kernel.health().facts["elections_per_minute"] == 2)
        assert REGISTRY.get_sample_value("mp_kernel_elections_per_minute") == 2
        # A log that is put back goes on in an epoch as high as the seconds since 1970.
        await log.fill(elections=1, epochs_apart=1_800_000_000)
        await eventually(lambda: machine.kernel.health().facts["elections_per_minute"] == 3)


async def test_a_system_without_a_leader_is_told_as_an_error() -> None:
    """Here nobody may lead: the one kernel has a clock that is not to be believed."""
    now = [0.0]
    machine = Machine(clock_off=86_400)
    kept = KeptLease(machine.lease, "jetstream", KernelMetrics(), lambda: now[0])
    standing = KernelStatus(kept, kept, [], machine.timekeeper, KernelMetrics(), patience_seconds=2, now=lambda: now[0])
    assert not await machine.timekeeper.look()
    with structlog.testing.capture_logs() as logs:
        for now[0] in range(25):
            standing.looked()
    told = [entry for entry in logs if entry["event"] == "leader.missing"]
    assert [entry["log_level"] for entry in told] == ["error", "error"]
    assert "86,400.0 s ahead" in told[0]["reason"]


@pytest.mark.parametrize(
    ("reason", "cause"),
    [
        (Deposed("another leads"), "deposed"),
        (Unknown("no answer"), "unknown_outcome"),
        (CommitTooLarge("nobody could store it"), "commit_too_large"),
    ],
    ids=["deposed", "unknown", "too large"],
)
async def test_what_the_log_does_not_store_ends_the_leadership_and_not_the_kernel(
    reason: Exception, cause: str
) -> None:
    log = Refusing()
    log.reason = reason
    machine = may_lead(log)

    def ended() -> float:
        return REGISTRY.get_sample_value("mp_kernel_step_downs_total", {"cause": cause}) or 0

    before = ended()
    async with running(machine.kernel):
        await eventually(lambda: ended() > before)
        assert not log.commits
        log.reason = None
        await eventually(lambda: machine.kernel.role is KernelRole.LEADER and len(log.commits) == 1)


async def test_a_leader_whose_lease_is_renewed_no_more_by_a_fault_steps_down_and_says_so() -> None:
    machine, cause = may_lead(MemoryLog(), renew_seconds=0.01), {"cause": "lease_keeping_failed"}

    async def broken() -> bool:
        raise ZeroDivisionError

    machine.lease.renew = broken  # type: ignore[method-assign]  # A fault of ours.
    with structlog.testing.capture_logs() as logs:
        async with running(machine.kernel):
            await eventually(lambda: REGISTRY.get_sample_value("mp_kernel_step_downs_total", cause) is not None)
    assert ("task.failed", "keeping the lease") in [(entry["event"], entry.get("task")) for entry in logs]


@pytest.fixture
def looks_often(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watch, "LOOK_SECONDS", 0.05)


async def _leads(machine: Machine) -> None:
    await eventually(lambda: machine.kernel.role is KernelRole.LEADER and len(machine.log.commits) == 1)


@pytest.mark.usefixtures("looks_often")
async def test_a_leader_at_rest_halts_at_a_foreign_message_as_every_reader_does() -> None:
    machine = may_lead(MemoryLog())
    run = asyncio.create_task(machine.kernel.run())
    await _leads(machine)
    machine.log.intrude(b"nobody of ours was me")
    with pytest.raises(ForeignMessage, match="log position 2: a foreign message stands there"):
        await asyncio.wait_for(run, 10)
    assert machine.leases.holder("kernel") is None, "whoever mends can hold it"


class Losable(MemoryLog):
    """A log that can be gone, and come back."""

    gone = False

    async def head(self) -> LogPosition:
        if self.gone:
            raise NoLog("no stream")
        return await super().head()

    async def last(self) -> int | None:
        return 0 if self.gone else await super().last()

    def put_back(self, other: MemoryLog) -> None:
        """As another log."""
        self._commits, self.stamps, self.gone = list(other.commits), list(other.stamps), False


@pytest.mark.usefixtures("looks_often")
async def test_a_leader_at_rest_whose_log_is_gone_says_so_and_holds_no_lease() -> None:
    log = Losable()
    machine = may_lead(log, renew_seconds=0.05)
    async with running(machine.kernel):
        await _leads(machine)
        log.gone = True
        await eventually(lambda: "mpctl log restore" in str(machine.kernel.health().facts.get("waits_for")))
        assert (machine.kernel.health().ready, machine.leases.holder("kernel")) == (False, None)
        log.gone = False
        await eventually(lambda: machine.kernel.role is KernelRole.LEADER and len(log.commits) == 2)
        assert "waits_for" not in machine.kernel.health().facts


async def test_a_standby_gives_the_lease_back_while_there_is_no_log_and_folds_another_log_anew() -> None:
    log, other = Losable(), SlowLog()
    machine = may_lead(log, renew_seconds=0.05)
    machine.leases.put("kernel", "another", 60)
    filled, epochs = SlowLog(), 3
    await filled.fill(elections=epochs)
    log.put_back(filled)
    async with running(machine.kernel):
        await eventually(
            lambda: machine.kernel.role is KernelRole.STANDBY and machine.kernel.health().facts["seq"] == epochs
        )
        log.gone = True
        machine.leases.drop("kernel")
        await eventually(lambda: "waits_for" in machine.kernel.health().facts)
        await eventually(lambda: machine.leases.holder("kernel") is None)
        assert not machine.kernel.health().ready
        await other.fill(elections=epochs, epochs_apart=1_000)
        log.put_back(other)
        await eventually(lambda: machine.kernel.role is KernelRole.LEADER and len(log.commits) == epochs + 1)
    assert log.commits[-1].header.epoch == epochs * 1_000 + 1


async def test_nobody_leads_on_a_log_that_is_being_put_back() -> None:
    log = SlowLog()
    log.allowed.set()
    await log.fill(3)
    led: list[int] = []

    def leads(memory: Memory) -> Leader:
        led.append(memory.position.seq)
        raise CommitTooLarge("enough was seen")

    machine = Machine(log, make_leader=leads, lacks="the log is being put back: it ends with event 3 of 4")
    running = asyncio.create_task(machine.kernel.run())
    await eventually(lambda: machine.kernel.health().facts.get("waits_for") == machine.lacks)
    assert not machine.kernel.health().ready
    assert await machine.leases_free()
    await log.fill(1)
    machine.lacks = ""
    with pytest.raises(CommitTooLarge):
        await running
    assert led == [4]
