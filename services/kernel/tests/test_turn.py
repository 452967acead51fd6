"""A turn decides commands in order, records every outcome once, and what it records folds to the same state."""

import msgspec
import pytest
from mpcore.access.policy import RoleAuthorizer
from mpcore.engine.commit import WAY_BACK_EVENTS
from mpcore.engine.recorded import conflict_outcome, recorded_outcome
from mpcore.engine.sealed import Repeat, Reply, Sealed
from mpcore.engine.shard import Shard
from mpcore.engine.snapshot import Frozen, state_root, thaw
from mpcore.engine.timers import due, next_due
from mpcore.engine.turn import Turn
from mpcore.state.facts import Fact
from mpschema import codec, levels
from mpschema.base import Command
from mpschema.envelope import CommandEnvelope, Outcome, Status
from mpschema.project import CreateProject
from mpschema.registry import COMMANDS
from mpschema.rejections import Code
from mpschema.system import CommandRejected, FeatureLevelRaised, LeaderElected, LogRestored
from mpschema.task import ClaimTask, CreateTask, MarkTaskReady
from mpschema.workspace import CreateWorkspace

ROOT = "user:root"
NOW_MS = 1_750_000_000_000
TYPES = {spec.arguments: kind for kind, spec in COMMANDS.items()}


def line(command_id: str, arguments: Command, target: str = "", *, key: str = "", principal: str = ROOT) -> bytes:
    """A command of the operator on the wire."""
    return codec.encode(
        CommandEnvelope(
            command_id=command_id,
            type=TYPES[type(arguments)],
            workspace_id="acme",
            principal=principal,
            target=target,
            idempotency_key=key,
            payload=msgspec.Raw(codec.encode(arguments)),
        )
    )


class Run:
    """A kernel's turns, one after the other, without a world around them."""

    def __init__(self) -> None:
        self.shard = Shard()
        self.hash = codec.GENESIS_HASH
        self.position = 0
        self.sealed: list[Sealed] = []
        self.elect()
        self.decide(line("w", CreateWorkspace(name="Acme"), "acme"), line("p", CreateProject(name="core"), "core"))

    def elect(self) -> None:
        """An election, as a commit of its own."""
        turn = self.turn()
        turn.note(Fact("log", "log", LeaderElected(leader_epoch=1, node="k1", operators=(ROOT,))), "election_1:0")
        self.seal(turn)

    def raise_level(self, level: int = levels.FEATURE_LEVEL) -> None:
        """From here on the log is at this feature level, else at the newest."""
        turn = self.turn()
        turn.note(Fact("log", "log", FeatureLevelRaised(level=level)), f"upgrade_{level}:0")
        self.seal(turn)

    def turn(self, now_ms: int = NOW_MS) -> Turn:
        return Turn(self.shard, 1, now_ms, RoleAuthorizer())

    def seal(self, turn: Turn) -> Sealed:
        sealed = turn.seal(self.hash)
        self.hash = codec.commit_hash(self.hash, "log", sealed.data)
        self.sealed.append(sealed)
        return sealed

    def decide(self, *lines: bytes, now_ms: int = NOW_MS) -> list[Reply]:
        """The answers to some commands that came in one message."""
        turn = self.turn(now_ms)
        self.position += 1
        turn.take(self.position, "replies", b"\n".join(lines))
        if not turn.empty:
            self.seal(turn)
        return turn.replies["replies"]

    def replayed(self) -> Shard:
        """A shard that folded every commit from the start."""
        shard = Shard()
        for sealed in self.sealed:
            header, body = codec.split_commit(sealed.data)
            shard.fold(header, codec.decode_records(body))
        return shard


@pytest.fixture
def run() -> Run:
    return Run()


def only(replies: list[Reply]) -> Outcome:
    """The one fresh outcome."""
    (reply,) = replies
    assert isinstance(reply, Outcome)
    return reply


CREATE = CreateTask(project_id="core", title="Write it down")


def test_an_accepted_command_is_answered_with_its_place_in_the_log(run: Run) -> None:
    outcome = only(run.decide(line("c-1", CREATE, "t1")))
    assert (outcome.status, outcome.target, outcome.version) == (Status.ACCEPTED, "t1", 1)
    assert outcome.first_seq == outcome.last_seq == run.shard.world.seq


def test_a_refusal_is_recorded_like_an_acceptance(run: Run) -> None:
    outcome = only(run.decide(line("c-1", MarkTaskReady(), "nothing")))
    assert outcome.code is Code.NOT_FOUND
    (record,) = codec.decode_records(codec.split_commit(run.sealed[-1].data)[1])
    assert isinstance(record.event, CommandRejected)
    assert record.command_id == "c-1"


def test_the_id_of_what_is_created_derives_from_the_command(run: Run) -> None:
    assert only(run.decide(line("a-b-c", CREATE))).target == "task_abc"


def test_the_same_request_is_decided_once(run: Run) -> None:
    first = only(run.decide(line("c-1", CREATE, key="k")))
    seq = run.shard.world.seq
    again = run.decide(line("c-2", CREATE, key="k"), line("c-1", CREATE, key="k"))
    assert again == [Repeat("c-2", first.first_seq, conflict=False), Repeat("c-1", first.first_seq, conflict=False)]
    assert run.shard.world.seq == seq


def test_the_same_request_in_the_same_message_is_decided_once(run: Run) -> None:
    first, again = run.decide(line("c-1", CREATE), line("c-1", CREATE))
    assert isinstance(first, Outcome)
    assert again == Repeat("c-1", first.first_seq, conflict=False)


@pytest.mark.parametrize(
    "other",
    [
        line("c-1", CreateTask(project_id="core", title="Something else")),
        line("c-1", CREATE, "elsewhere"),
        line("c-1", CREATE, principal="user:eve"),
        line("c-1", CREATE, key="another-key"),
    ],
    ids=["body", "target", "principal", "key"],
)
def test_a_key_never_answers_for_another_request(run: Run, other: bytes) -> None:
    run.decide(line("c-1", CREATE))
    seq = run.shard.world.seq
    (reply,) = run.decide(other)
    assert isinstance(reply, Repeat)
    assert reply.conflict
    assert run.shard.world.seq == seq, "nothing is written for a conflict"
    assert conflict_outcome("c-1", 1, seq).code is Code.IDEMPOTENCY_CONFLICT


@pytest.mark.parametrize(
    "other",
    [
        line("c-1", CreateTask(project_id="core", title="Something else")),
        line("c-1", CREATE, "elsewhere"),
        line("c-2", CreateTask(project_id="core", title="Something else"), key="c-1"),
    ],
    ids=["body", "target", "the id as a key"],
)
@pytest.mark.parametrize("level", [levels.OWNED_LEVEL, levels.FEATURE_LEVEL])
def test_a_principals_own_key_never_answers_for_another_request(run: Run, other: bytes, level: int) -> None:
    run.raise_level(level)
    run.decide(line("c-1", CREATE))
    seq = run.shard.world.seq
    (reply,) = run.decide(other)
    assert isinstance(reply, Repeat)
    assert reply.conflict
    assert run.shard.world.seq == seq, "nothing is written for a conflict"


def test_nobody_spends_the_key_of_another(run: Run) -> None:
    run.raise_level()
    burnt = only(run.decide(line("e-1", CREATE, key="deploy-42", principal="user:eve")))
    meant = only(run.decide(line("r-1", CREATE, "t1", key="deploy-42")))
    assert (burnt.code, meant.status) == (Code.DENIED, Status.ACCEPTED)
    again = run.decide(
        line("r-2", CREATE, "t1", key="deploy-42"), line("e-2", CREATE, key="deploy-42", principal="user:eve")
    )
    assert again == [Repeat("r-2", meant.first_seq, conflict=False), Repeat("e-2", burnt.first_seq, conflict=False)]
    run.decide(line("r-3", CREATE))
    assert state_root(run.replayed()) == state_root(run.shard)


@pytest.mark.parametrize("key", ["", "deploy-42"])
def test_nobody_spends_the_command_id_of_another(run: Run, key: str) -> None:
    run.raise_level()
    burnt = only(run.decide(line("c-1", CREATE, principal="user:eve")))
    meant = only(run.decide(line("c-1", CREATE, key=key)))
    assert meant.status is Status.ACCEPTED
    assert (meant.request_id, meant.command_id == "c-1") == ("c-1", False)
    asked = [line("c-1", CREATE, key=key), line("c-1", CREATE, principal="user:eve")]
    repeats = [Repeat("c-1", meant.first_seq, conflict=False), Repeat("c-1", burnt.first_seq, conflict=False)]
    assert run.decide(*asked) == repeats
    run.shard = thaw(b"".join(Frozen(run.shard).chunks()))
    assert run.decide(*asked) == repeats
    (other,) = run.decide(line("c-1", CreateTask(project_id="core", title="Something else"), key=key))
    assert isinstance(other, Repeat)
    assert other.conflict
    ids = [record.id for sealed in run.sealed for record in codec.decode_records(codec.split_commit(sealed.data)[1])]
    assert len(ids) == len(set(ids))


def test_keys_recorded_at_an_older_level_hold_as_they_were_recorded(run: Run) -> None:
    first = only(run.decide(line("c-1", CREATE, key="k")))
    root = state_root(run.shard)
    assert state_root(run.replayed()) == root
    run.raise_level()
    same, other = run.decide(line("c-2", CREATE, key="k"), line("e-1", CREATE, key="k", principal="user:eve"))
    assert same == Repeat("c-2", first.first_seq, conflict=False)
    assert other == Repeat("e-1", first.first_seq, conflict=True)
    assert only(run.decide(line("e-2", CREATE, key="k2", principal="user:eve"))).code is Code.DENIED
    assert only(run.decide(line("c-3", CREATE, "t3", key="k2"))).accepted
    assert state_root(run.replayed()) == state_root(run.shard)


def test_an_id_that_names_a_command_is_refused_to_another_under_a_key_up_to_level_3_and_then_replaced(run: Run) -> None:
    other = line("c-1", CREATE, "t2", key="another-key")
    run.raise_level(levels.OWNED_LEVEL)
    run.decide(line("c-1", CREATE, "t1"))
    assert run.decide(other) == [Repeat("c-1", 0, conflict=True)]
    run.raise_level()
    outcome = only(run.decide(other))
    assert (outcome.accepted, outcome.request_id, outcome.command_id == "c-1") == (True, "c-1", False)
    assert run.decide(other) == [Repeat("c-1", outcome.first_seq, conflict=False)]


@pytest.mark.parametrize("thawed", [False, True])
@pytest.mark.parametrize("level_of_key", [1, 3])
def test_what_goes_by_a_key_or_an_id_is_found_before_and_after_a_snapshot(
    run: Run, level_of_key: int, thawed: bool
) -> None:
    if level_of_key == 3:
        run.shard, run.position = Shard(), 0
        run.raise_level(3)
    first = run.decide(line("c-1", CREATE, key="k"))[0]
    run.raise_level()
    if thawed:
        run.shard = thaw(b"".join(Frozen(run.shard).chunks()))
    asked = [line("c-2", CREATE, key="k"), line("c-1", CREATE), line("k", CREATE), line("c-3", CREATE, key="c-1")]
    assert isinstance(first, Outcome)
    assert all(isinstance(reply, Repeat) for reply in run.decide(*asked)), first
    assert run.decide(asked[0]) == [Repeat("c-2", first.first_seq, conflict=False)]


def test_the_outcome_of_one_id_in_two_workspaces_of_a_commit_is_not_mixed_up(run: Run) -> None:
    beta = CommandEnvelope(
        command_id="c-1",
        type="workspace.create",
        workspace_id="beta",
        principal=ROOT,
        target="beta",
        payload=msgspec.Raw(codec.encode(CreateWorkspace(name="Beta"))),
    )
    ours, _ = run.decide(line("c-1", CREATE, "t1"), codec.encode(beta))
    records = codec.decode_records(codec.split_commit(run.sealed[-1].data)[1])
    assert isinstance(ours, Outcome)
    assert msgspec.structs.replace(recorded_outcome(records, "c-1"), duplicate=False) == ours


def test_a_recorded_outcome_reads_like_the_first_answer(run: Run) -> None:
    for wire in (line("c-1", CREATE, "t1"), line("c-2", MarkTaskReady(), "nothing")):
        outcome = only(run.decide(wire))
        records = codec.decode_records(codec.split_commit(run.sealed[-1].data)[1])
        again = recorded_outcome(records, outcome.command_id)
        assert msgspec.structs.replace(again, duplicate=False) == outcome


def test_what_no_producer_sent_is_consumed_and_leaves_nothing(run: Run) -> None:
    turn = run.turn()
    assert turn.take(run.position + 1, "", b'{"stream":"MP_LOG_0","seq":7}\n')
    assert (turn.idle, turn.dropped, run.shard.command_position) == (True, {"": 2}, run.position + 1)


@pytest.mark.parametrize("junk", [b"", b"{", b"null", b"[" * 10_000, b'{"command_id":"c"}', b"\xff\xfe", b"\x00"])
def test_a_line_nobody_can_read_is_recorded_and_the_rest_goes_on(run: Run, junk: bytes) -> None:
    replies = run.decide(junk, line("c-1", CREATE, "t1"))
    assert only(replies).accepted
    first, second = codec.decode_records(codec.split_commit(run.sealed[-1].data)[1])
    assert isinstance(first.event, CommandRejected)
    assert first.event.code is Code.SCHEMA_INVALID
    assert second.command_id == "c-1"


def test_what_was_decided_folds_to_the_same_state(run: Run) -> None:
    run.decide(*[line(f"c-{n}", CREATE, f"t{n}") for n in range(50)])
    run.decide(*[line(f"r-{n}", MarkTaskReady(), f"t{n}") for n in range(0, 50, 2)], b"junk")
    run.decide(*[line(f"l-{n}", ClaimTask(), f"t{n}") for n in range(0, 50, 4)])
    assert state_root(run.replayed()) == state_root(run.shard)


def test_a_snapshot_is_the_state(run: Run) -> None:
    run.decide(*[line(f"c-{n}", CREATE, f"t{n}") for n in range(50)])
    thawed = thaw(b"".join(Frozen(run.shard).chunks()))
    assert state_root(thawed) == state_root(run.shard)
    run.shard = thawed
    assert isinstance(run.decide(line("c-1", CREATE, "t1"))[0], Repeat), "outcomes are part of it"
    assert only(run.decide(line("d-1", MarkTaskReady(), "t1"))).version == 2


def test_recorded_time_never_runs_backwards(run: Run) -> None:
    run.decide(line("c-1", CREATE, "t1"), now_ms=NOW_MS + 5)
    run.decide(line("c-2", CREATE, "t2"), now_ms=NOW_MS - 60_000)
    assert run.sealed[-1].header.time_ms == NOW_MS + 5


def test_an_overdue_lease_expires_by_a_recorded_fact(run: Run) -> None:
    run.decide(line("c-1", CREATE, "t1"), line("c-2", MarkTaskReady(), "t1"))
    run.decide(line("c-3", ClaimTask(ttl_seconds=10), "t1"))
    expires = next_due(run.shard.world)
    assert expires == NOW_MS + 10_000
    turn = run.turn(expires)
    for timer in due(run.shard.world, expires, 10):
        turn.fire(timer)
    records = codec.decode_records(codec.split_commit(run.seal(turn).data)[1])
    assert [record.name for record in records] == ["TimerFired", "TaskLeaseExpired"]
    assert next_due(run.shard.world) is None
    assert state_root(run.replayed()) == state_root(run.shard)


@pytest.mark.parametrize("raised", [False, True])
def test_what_was_decided_ahead_is_undone_without_a_trace(run: Run, *, raised: bool) -> None:
    if raised:
        run.raise_level()
    run.decide(*[line(f"c-{n}", CREATE, f"t{n}") for n in range(8)])
    run.decide(*[line(f"r-{n}", MarkTaskReady(), f"t{n}") for n in range(0, 8, 2)])
    before = state_root(run.shard)
    lines = [
        line("w-2", CreateWorkspace(name="Beta"), "acme"),
        line("c-99", CREATE, key="a-key"),
        line("c-1", CREATE, "t1"),
        line("l-2", ClaimTask(ttl_seconds=10), "t2"),
        line("l-3", ClaimTask(), "t3"),
        line("c-99", CREATE, "elsewhere"),
        b"junk",
        *(line(f"m-{n}", CREATE, f"m{n}") for n in range(2 * WAY_BACK_EVENTS)),
    ]
    ahead = run.turn()
    ahead.revocable = True
    ahead.take(run.position + 1, "replies", b"\n".join(lines))
    assert state_root(run.shard) != before
    ahead.undo.run()
    assert state_root(run.shard) == before
    assert next_due(run.shard.world) is None
    run.decide(*lines)
    assert ahead.lines == run.sealed[-1].data.split(b"\n")[1:-1], "decided again, it is the same"
    assert state_root(run.replayed()) == state_root(run.shard)


def test_a_long_message_keeps_a_short_way_back(run: Run) -> None:
    lines = [line(f"c-{n}", CREATE, f"t{n}") for n in range(3 * WAY_BACK_EVENTS)]
    run.raise_level()
    turn, left = run.turn(), len(lines) - 2
    turn.take(run.position + 1, "replies", b"\n".join(lines))
    assert len(turn.undo.replaced) <= WAY_BACK_EVENTS
    with pytest.raises(RuntimeError, match="no way back"):
        turn.undo.run()
    turn.back(left)
    fewer = Run()
    fewer.raise_level()
    fewer.decide(*lines[:left])
    assert turn.lines == fewer.sealed[-1].data.split(b"\n")[1:-1]
    assert state_root(run.shard) == state_root(fewer.shard)


def test_in_a_log_that_was_put_back_fences_go_on_above_its_new_epoch(run: Run) -> None:
    run.decide(line("c-1", CREATE, "t1"), line("c-2", MarkTaskReady(), "t1"))
    turn = Turn(run.shard, 5_000, NOW_MS, RoleAuthorizer())
    restored = LogRestored(
        at_seq=run.shard.world.seq,
        head=run.hash,
        state_root=state_root(run.shard),
        source="backup",
        copied_at_ms=NOW_MS,
    )
    turn.note(Fact("log", "log", restored), "restoration_5000:0")
    run.seal(turn)
    thawed = thaw(b"".join(Frozen(run.shard).chunks()))
    assert [shard.world.fence_floor for shard in (run.shard, run.replayed(), thawed)] == [5_000] * 3
    run.decide(line("c-3", ClaimTask(), "t1"))
    assert run.shard.world.tenants["acme"].indexes["task"].by_id["t1"].fence == 5_001
