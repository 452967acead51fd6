"""Whatever commands come, in whatever order: what must always hold, holds.

A random world is driven through `decide` and `apply` as the kernel drives them, and asked after every step.
"""

import itertools
from collections import Counter
from collections.abc import Callable
from typing import Any

import msgspec
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule
from mpcore.domain.aggregates import BY_NAME, new_world
from mpcore.domain.principal.index import principals as principals_of
from mpcore.domain.session.index import sessions
from mpcore.domain.session.liveness import lives
from mpcore.domain.session.state import Session
from mpcore.domain.sweep.index import sweeps
from mpcore.domain.task.index import tasks
from mpcore.domain.task.rules import RULES as TASK_RULES
from mpcore.domain.task.state import LEASED, OPEN, Task
from mpcore.engine.evolve import rebuild_indexes
from mpcore.engine.shard import Shard
from mpcore.engine.undo import Undo
from mpcore.state.world import World
from mpschema.base import Command
from mpschema.channel import MessagePosted, OpenChannel, Scope
from mpschema.positions import LogPosition
from mpschema.principal import Role
from mpschema.rejections import Rejection
from mpschema.session import (
    CancelSession,
    CompleteSession,
    FailSession,
    SessionLimits,
    SessionState,
    SpawnSession,
    StartSession,
)
from mpschema.system import LOG, SYSTEM_WORKSPACE, SetLimits
from mpschema.task import (
    ClaimTask,
    CreateTask,
    LinkKind,
    StartTask,
    SubmitTask,
    TaskClaimed,
    TaskState,
)
from mpschema.workspace import ThawWorkspace
from mpviews.access import AccessSlice, chunks, open_part, part

from libs.mpcore.tests.story import (
    ACME,
    BLUEPRINT,
    CORE,
    DEVELOPER,
    EVIDENCE,
    OWNER,
    ROOT,
    RUNNER,
    Step,
    acme,
    active,
    board,
    picture,
    ready,
)
from libs.mpcore.tests.story import (
    task as created,
)
from libs.mpcore.tests.strategies import (
    COLUMNS,
    TASKS,
    channel_commands,
    channel_ids,
    governing_steps,
    limits,
    people,
    principals,
    session_commands,
    session_ids,
    task_commands,
    task_ids,
)

LIVE = frozenset({SessionState.REQUESTED, SessionState.ACTIVE, SessionState.PAUSED})


class AnyStory(RuleBasedStateMachine):
    """Random commands by random people on a few tasks, sessions and channels, while time passes."""

    @initialize(sweep_facts=st.sampled_from([1, 200]))
    def begin(self, sweep_facts: int) -> None:
        lineage = {"s0": None, "s1": "s0", "s2": "s0", "s3": "s1"}
        limits = Step(SetLimits(sweep_facts=sweep_facts, outcome_days=7), LOG, ROOT, workspace_id=SYSTEM_WORKSPACE)
        self.story = acme().given(limits, board(*COLUMNS))
        self.story.given(*(created(name, "b1") for name in TASKS[:3]), ready("t0"), ready("t1"))
        self.story.given(*(step for name, parent_id in lineage.items() for step in active(name, parent_id)))
        self.story.given(Step(OpenChannel("s1", Scope.LINEAGE, "talk"), "c0"))
        self.ended: set[str] = set()

    def do(self, arguments: Command, target: str, by: str, session_id: str | None = None) -> None:
        self.step(Step(arguments, target, by, session_id))

    def step(self, step: Step) -> None:
        """Ask twice, which must change nothing, and say the same; then let it happen."""
        before = picture(self.story.world)
        commands = self.story.commands
        first = self.story.ask(step)
        self.story.commands = commands
        assert picture(self.story.world) == before
        self.undone(lambda: self.story.when(step))
        assert self.story.when(step).decision == first
        if isinstance(first, Rejection):
            assert picture(self.story.world) == before

    def undone(self, happening: Callable[[], object]) -> None:
        """Let something happen, and undo it: then it never happened."""
        story = self.story
        before, told, commands, now_ms = picture(story.world), len(story.told), story.commands, story.now_ms
        story.undo = Undo(Shard(story.world))
        happening()
        story.undo.run()
        assert picture(story.world) == before
        assert story.world.deadlines.soonest() == reloaded(story.world).deadlines.soonest()
        story.undo, story.commands, story.now_ms = None, commands, now_ms
        del story.told[told:]
        del story.records[told:]

    @rule(task_id=task_ids, board_id=st.none() | st.just("b1"))
    def create_task(self, task_id: str, board_id: str | None) -> None:
        self.do(CreateTask(CORE, "x", board_id=board_id), task_id, DEVELOPER)

    @rule(arguments=task_commands, task_id=task_ids, by=principals, session_id=session_ids)
    def work_anyhow(self, arguments: Command, task_id: str, by: str, session_id: str) -> None:
        self.do(arguments, task_id, by, session_id if by == RUNNER else None)

    @rule(data=st.data(), task_id=task_ids, by=people)
    def work_as_the_table_allows(self, data: st.DataObject, task_id: str, by: str) -> None:
        task = tasks(self.story.tenant).by_id.get(task_id)
        if task is None:
            return
        arguments = data.draw(task_commands.filter(lambda wanted: task.state in TASK_RULES[type(wanted)].sources))
        if hasattr(arguments, "fence"):
            arguments = msgspec.structs.replace(arguments, fence=task.fence)
        self.do(arguments, task_id, by)

    @rule(task_id=task_ids, session_id=session_ids)
    def work_as_an_agent(self, task_id: str, session_id: str) -> None:
        task, agent = tasks(self.story.tenant).by_id.get(task_id), f"agent:{session_id}"
        if task is None:
            return
        fence = task.fence + 1
        for arguments in (ClaimTask(), StartTask(fence), SubmitTask(fence, EVIDENCE)):
            self.do(arguments, task_id, agent)

    @rule(session_id=session_ids, parent_id=st.none() | session_ids, wanted=limits, by=principals)
    def spawn(self, session_id: str, parent_id: str | None, wanted: SessionLimits | None, by: str) -> None:
        self.do(SpawnSession(BLUEPRINT, None, parent_id, limits=wanted), session_id, by)
        self.do(StartSession(), session_id, DEVELOPER)

    @rule(wanted=limits, number=st.integers(5, 30), data=st.data(), project_id=st.none() | st.just(CORE))
    def grow(self, wanted: SessionLimits | None, number: int, data: st.DataObject, project_id: str | None) -> None:
        parent_id = data.draw(st.sampled_from(sorted(sessions(self.story.tenant).by_id)))
        self.do(SpawnSession(BLUEPRINT, project_id, parent_id, limits=wanted), f"s{number}", DEVELOPER)
        self.do(StartSession(), f"s{number}", DEVELOPER)

    @rule(ending=st.sampled_from([CancelSession(), FailSession("x"), CompleteSession()]), data=st.data())
    def hold_and_end(self, ending: Command, data: st.DataObject) -> None:
        live = sorted(name for name, one in sessions(self.story.tenant).by_id.items() if one.state in LIVE)
        if not live:
            return
        for task_id in TASKS[:2]:
            self.do(ClaimTask(data.draw(st.sampled_from(live))), task_id, DEVELOPER)
        self.do(ending, data.draw(st.sampled_from(live)), DEVELOPER)

    @rule(arguments=session_commands, session_id=session_ids, by=principals)
    def run(self, arguments: Command, session_id: str, by: str) -> None:
        self.do(arguments, session_id, by)

    @rule(channel_id=channel_ids, anchor=session_ids, scope=st.sampled_from(Scope), by=principals)
    def open_channel(self, channel_id: str, anchor: str, scope: Scope, by: str) -> None:
        self.do(OpenChannel(anchor, scope, "talk"), channel_id, by)

    @rule(arguments=channel_commands, channel_id=channel_ids, by=principals)
    def talk(self, arguments: Command, channel_id: str, by: str) -> None:
        self.do(arguments, channel_id, by)

    @rule(step=governing_steps)
    def govern(self, step: Step) -> None:
        self.step(step)
        self.step(Step(ThawWorkspace(), ACME, OWNER))

    @rule(seconds=st.sampled_from([1, 60, 300, 600]))
    def wait(self, seconds: int) -> None:
        self.undone(lambda: self.story.later(seconds))
        self.story.later(seconds)

    @invariant()
    def what_derives_is_what_would_be_derived_anew(self) -> None:
        world, anew = self.story.world, reloaded(self.story.world)
        for name, tenant in world.tenants.items():
            assert tenant.indexes == anew.tenants[name].indexes
        assert world.deadlines.due_of == anew.deadlines.due_of
        assert world.deadlines.soonest() == anew.deadlines.soonest()

    @invariant()
    def what_the_doors_know_is_what_the_kernel_knows(self) -> None:
        records, world = self.story.records, self.story.world
        fresh, begun = AccessSlice(), AccessSlice()
        fresh.fold_all(records)
        begun.fold_all(records[: len(records) // 2])
        opened = open_part(part(b"".join(chunks(begun.pieces())), LogPosition(1, begun.seq, "")))
        assert opened is not None
        opened[0].fold_all(records)
        assert facts(opened[0]) == facts(fresh)
        for name, tenant in world.tenants.items():
            for one in principals_of(tenant).by_id.values():
                assert set(fresh.roles_of(name, one.id)) == {role.value for role in one.roles}
                held = {key.key_id: not key.revoked for key in fresh.keys.values() if key.principal == one.id}
                assert held == one.keys
            known = {one.id: lives(tenant, one) for one in sessions(tenant).by_id.values()}
            assert {one: fresh.lives(name, one) for one in known} == known

    @invariant()
    def a_claim_is_live_exactly_while_work_is_due_or_judged(self) -> None:
        for one in tasks(self.story.tenant).by_id.values():
            assert bool(one.holder) == (one.state in LEASED or one.state is TaskState.IN_REVIEW)
            assert (one.expires_at_ms > 0) == (one.state in LEASED)
            assert not one.accepted or one.state is TaskState.IN_REVIEW

    @invariant()
    def fences_strictly_increase(self) -> None:
        claims: dict[str, list[int]] = {}
        for _, fact in self.story.told:
            if isinstance(fact.event, TaskClaimed):
                claims.setdefault(fact.aggregate_id, []).append(fact.event.fence)
        assert all(fence_list == list(range(1, len(fence_list) + 1)) for fence_list in claims.values())

    @invariant()
    def what_must_be_done_before_is_no_circle(self) -> None:
        for kind in (LinkKind.BLOCKS, LinkKind.PARENT):
            assert is_acyclic(tasks(self.story.tenant).by_id, kind)

    @invariant()
    def a_board_counts_its_tasks(self) -> None:
        counted = Counter((one.board_id, one.state) for one in tasks(self.story.tenant).by_id.values() if one.board_id)
        index = tasks(self.story.tenant).on_board
        assert counted == {(name, state): n for name, counts in index.items() for state, n in counts.items()}

    @invariant()
    def blockers_are_the_open_tasks_that_block(self) -> None:
        expected: dict[str, set[str]] = {}
        for one in tasks(self.story.tenant).by_id.values():
            for kind, other in one.links:
                if kind is LinkKind.BLOCKS and one.state in OPEN:
                    expected.setdefault(other, set()).add(one.id)
        assert tasks(self.story.tenant).blockers == expected

    @invariant()
    def messages_are_numbered_without_gaps(self) -> None:
        numbers: dict[str, list[int]] = {}
        for _, fact in self.story.told:
            if isinstance(fact.event, MessagePosted):
                numbers.setdefault(fact.aggregate_id, []).append(fact.event.message_seq)
        assert all(number_list == list(range(1, len(number_list) + 1)) for number_list in numbers.values())
        assert all(
            cursor <= channel.messages
            for channel in self.story.tenant.indexes["channel"].by_id.values()
            for cursor in channel.cursors.values()
        )

    @invariant()
    def lineages_are_trees_within_their_limits(self) -> None:
        known = sessions(self.story.tenant).by_id
        children = Counter(session.parent_id for session in known.values())
        for session in known.values():
            parent = known.get(session.parent_id or "")
            assert session.lineage == ((*parent.lineage, parent.id) if parent else ())
            assert children[session.id] <= session.max_children
            if parent is not None:
                assert_within(session, parent)

    @invariant()
    def whoever_lives_has_a_live_parent(self) -> None:
        """So it is in the states, too, once no sweep runs."""
        tenant, known = self.story.tenant, sessions(self.story.tenant).by_id
        for session in known.values():
            if lives(tenant, session) or (session.state in LIVE and not sweeps(tenant).running):
                assert all(known[ancestor].state in LIVE for ancestor in session.lineage)

    @invariant()
    def whoever_has_ended_holds_nothing_but_work_sent_back(self) -> None:
        """A rejection after its session's end leaves a lease that nobody renews: it is bound to expire."""
        for one in tasks(self.story.tenant).by_id.values():
            if one.state in LEASED and one.session_id is not None:
                session = sessions(self.story.tenant).by_id[one.session_id]
                sent_back = one.state is TaskState.IN_PROGRESS
                assert session.state in LIVE or sent_back or sweeps(self.story.tenant).running

    @invariant()
    def what_has_ended_stays_ended(self) -> None:
        now = {session.id for session in sessions(self.story.tenant).by_id.values() if session.state not in LIVE}
        assert self.ended <= now
        self.ended = now

    @invariant()
    def somebody_owns_the_workspace(self) -> None:
        holders = {name for name, one in principals_of(self.story.tenant).by_id.items() if Role.OWNER in one.roles}
        assert holders == principals_of(self.story.tenant).owners
        assert holders

    @invariant()
    def versions_and_positions_have_no_gaps(self) -> None:
        told = Counter((fact.aggregate, fact.aggregate_id) for _, fact in self.story.told)
        for kind, index in self.story.tenant.indexes.items():
            for name, state in index.by_id.items():
                assert state.version == told[(kind, name)]
        assert self.story.world.seq == len(self.story.told)


def facts(access: AccessSlice) -> dict[str, Any]:
    """Everything a slice holds."""
    return {name: getattr(access, name) for name in AccessSlice.__slots__}


def assert_within(child: Session, parent: Session) -> None:
    """Authority of a child lies within its parent's (G6)."""
    assert child.depth <= parent.max_depth
    assert child.max_depth <= parent.max_depth
    assert child.max_children <= parent.max_children
    assert parent.project_id in (None, child.project_id)


def is_acyclic(tasks: dict[str, Task], kind: LinkKind) -> bool:
    """Whether tasks can be taken away one by one, each time one without links of this kind to those that remain."""
    edges = {name: {other for linked, other in one.links if linked is kind} for name, one in tasks.items()}
    while free := [name for name, others in edges.items() if not others & edges.keys()]:
        for name in free:
            del edges[name]
    return not edges


def reloaded(world: World) -> World:
    """The same world by way of its snapshot: states to bytes and back, and everything else derived anew."""
    anew = new_world(world.operators)
    for name, tenant in world.tenants.items():
        copied = anew.add_tenant(name)
        for kind, index in tenant.indexes.items():
            data = msgspec.msgpack.encode(list(index.by_id.values()))
            state_type: Any = BY_NAME[kind].state
            loaded = msgspec.msgpack.decode(data, type=list[state_type])
            copied.indexes[kind].by_id.update((state.id, state) for state in loaded)
        rebuild_indexes(copied)
    return anew


TestAnyStory = AnyStory.TestCase
TestAnyStory.settings = settings(max_examples=100, stateful_step_count=50, suppress_health_check=list(HealthCheck))


def test_a_reload_changes_nothing() -> None:
    world = acme().given(board(*COLUMNS)).world
    assert reloaded(world).tenants[ACME].indexes == world.tenants[ACME].indexes


def test_a_circle_is_seen() -> None:
    tasks = {
        one: Task(one, 1, CORE, None, TaskState.DRAFT, links=((LinkKind.BLOCKS, other),))
        for one, other in itertools.pairwise(["a", "b", "c", "a"])
    }
    assert not is_acyclic(tasks, LinkKind.BLOCKS)
    assert is_acyclic(tasks, LinkKind.PARENT)
