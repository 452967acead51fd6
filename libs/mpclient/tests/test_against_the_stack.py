"""The SDK against the real thing: servers, kernel, projector and gateway as processes."""

from __future__ import annotations

import asyncio
import itertools
import secrets
from collections.abc import AsyncIterator, Iterator
from contextlib import aclosing

import pytest
from mpclient import AsyncClient, Client, errors, order
from mpd.ports import free_port
from mpd.stack import Stack
from mpschema.cloudevents import CloudEvent
from mpschema.envelope import Outcome
from mpschema.problems import Problem
from mpschema.queries import QUERIES
from mpschema.session import BlueprintRef
from mpschema.task import CreateTask, Evidence, MarkTaskReady, TaskClaimed, TaskState
from mpschema.task.rows import TaskRow

from tests.support import eventually

BLUEPRINT = BlueprintRef(name="reviewer", version="1.0.0", digest="ab" * 32)


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """One stack for the tests of this module that break nothing; each has a workspace of its own."""
    stack = Stack(tmp_path_factory.mktemp("stack"), http_port=free_port())
    stack.start()
    yield stack
    stack.stop()


@pytest.fixture
async def client(shared: Stack) -> AsyncIterator[AsyncClient]:
    """A client in a new workspace with the project `core`."""
    async with AsyncClient(shared.url, shared.root_key, f"w{secrets.token_hex(6)}") as client:
        assert client.workspace is not None
        await client.workspaces.create(id=client.workspace, name=client.workspace)
        await client.projects.create(id="core", name="core")
        yield client


async def ready_task(client: AsyncClient, name: str = "t1") -> Outcome:
    await client.tasks.create(id=name, project_id="core", title=f"Do {name}")
    return await client.tasks.mark_ready(name)


async def test_a_task_goes_its_way_from_draft_to_done(client: AsyncClient) -> None:
    ready = await ready_task(client)
    assert (await client.tasks.get("t1", after=ready)).state is TaskState.READY
    claimed = await client.tasks.claim("t1", ttl_seconds=60)
    task = await client.tasks.get("t1", after=claimed)
    assert (task.state, task.holder, task.fence) == (TaskState.CLAIMED, "user:root", 1)
    await client.tasks.start("t1", fence=task.fence)
    await client.tasks.submit("t1", fence=task.fence, evidence=[Evidence(kind="test", summary="14 passed")])
    await client.tasks.accept("t1", note="good")
    done = await client.tasks.complete("t1")
    assert (await client.tasks.get("t1", after=done)).state is TaskState.DONE


async def test_what_a_command_made_is_named_in_its_outcome(client: AsyncClient) -> None:
    made = await client.tasks.create(project_id="core", title="Name yourself", labels=["a", "b"])
    task = await client.tasks.get(made.target, after=made)
    assert (task.version, task.labels, made.version) == (1, ["a", "b"], 1)


async def test_the_same_key_gets_the_same_answer_and_another_body_a_conflict(client: AsyncClient) -> None:
    once = await client.tasks.create(id="t1", project_id="core", title="Once", idempotency_key="k1")
    again = await client.tasks.create(id="t1", project_id="core", title="Once", idempotency_key="k1")
    assert (again.duplicate, again.command_id, again.first_seq) == (True, once.command_id, once.first_seq)
    with pytest.raises(errors.Rejected) as refused:
        await client.tasks.create(id="t1", project_id="core", title="Twice", idempotency_key="k1")
    assert refused.value.code == "idempotency_conflict"


async def test_refusals_are_typed_and_say_where_they_are_recorded(client: AsyncClient) -> None:
    await ready_task(client)
    with pytest.raises(errors.Rejected) as stale:
        await client.tasks.claim("t1", expected_version=1)
    assert (stale.value.code, stale.value.status) == ("stale_version", 412)
    assert stale.value.problem.seq is not None
    assert stale.value.problem.epoch is not None
    with pytest.raises(errors.NotFound):
        await client.tasks.claim("never")
    with pytest.raises(errors.NotFound):
        await client.tasks.get("never")
    with pytest.raises(errors.Rejected) as unfit:
        await client.tasks.claim("t1", ttl_seconds=0)
    assert unfit.value.code == "schema_invalid"
    with pytest.raises(errors.Rejected) as there:
        await client.projects.create(id="core", name="other", expected_version=0)
    assert there.value.code in ("already_exists", "stale_version")


async def test_a_batch_answers_line_by_line(client: AsyncClient) -> None:
    lines = [order(CreateTask(project_id="core", title=f"Do {n}"), f"b{n}") for n in range(60)]
    answers = await client.batch([*lines, order(MarkTaskReady(), "never"), {"type": "task.juggle", "target": "b1"}])
    assert [type(answer) for answer in answers] == [*[Outcome] * 60, Problem, Problem]
    assert [answer.code for answer in answers[60:]] == ["not_found", "unknown_type"]
    outcomes = [answer for answer in answers if isinstance(answer, Outcome)]
    assert [outcome.target for outcome in outcomes] == [f"b{n}" for n in range(60)]


async def test_lists_come_page_by_page_and_are_filtered(client: AsyncClient) -> None:
    answers = await client.batch(order(CreateTask(project_id="core", title=f"Do {n}"), f"p{n:03}") for n in range(25))
    last = answers[-1]
    assert isinstance(last, Outcome)
    ready = await client.tasks.mark_ready("p007")
    page = await client.tasks.list(limit=10, after=ready)
    assert len(page.items) == 10
    following = await client.tasks.list(limit=10, cursor=page.next_cursor)
    assert {task.id for task in page.items}.isdisjoint(task.id for task in following.items)
    everything = [task.id async for task in client.tasks.iterate(limit=10)]
    assert sorted(everything) == [f"p{n:03}" for n in range(25)]
    assert [task.id for task in (await client.tasks.list(state="ready")).items] == ["p007"]
    assert [task.id for task in (await client.tasks.list(state=TaskState.READY)).items] == ["p007"]


async def test_a_command_given_without_waiting_is_found_by_its_key(client: AsyncClient) -> None:
    queued = await client.enqueue(
        "task.create", "t1", CreateTask(project_id="core", title="Later"), idempotency_key="later-1"
    )
    assert queued.command_id

    async def outcome() -> str:
        return (await client.commands.list(idempotency_key="later-1")).items[0].status

    assert await eventually(outcome) == "accepted"


async def test_a_new_key_opens_the_door_for_its_principal_alone(client: AsyncClient, shared: Stack) -> None:
    await client.principals.bind_role("user:ada", role="viewer")
    issued = await client.new_key("user:ada", key_id=f"k{secrets.token_hex(4)}")
    assert (await client.principals.keys("user:ada", after=issued)).items[0].id == issued.key_id
    async with AsyncClient(shared.url, lambda: issued.key, client.workspace) as ada:
        assert [workspace.workspace_id for workspace in (await ada.workspaces.list()).items] == [client.workspace]
        with pytest.raises(errors.Denied):
            await ada.tasks.create(project_id="core", title="Not mine to make")
    async with AsyncClient(shared.url, issued.key[:-1] + "!", client.workspace) as stranger:
        with pytest.raises(errors.Unauthenticated):
            await stranger.tasks.list()


async def test_an_agent_works_with_the_token_of_its_session(client: AsyncClient, shared: Stack) -> None:
    await ready_task(client)
    await client.sessions.spawn(id="s1", blueprint=BLUEPRINT, project_id="core")
    await client.sessions.start("s1")
    issued = await client.sessions.issue_token("s1", ttl_seconds=600)
    async with AsyncClient(shared.url, issued.token, client.workspace) as agent:
        claimed = await agent.tasks.claim("t1")
    assert (await client.tasks.get("t1", after=claimed)).holder == "agent:s1"


async def test_events_are_followed_from_the_start_from_a_place_and_live(client: AsyncClient) -> None:
    ready = await ready_task(client)
    async with aclosing(client.events("0:0")) as events:
        first = [await anext(events) for _ in range(5)]
    assert [event.type.split(".")[2] for event in first] == [
        "WorkspaceCreated",
        "RoleBound",
        "ProjectCreated",
        "TaskCreated",
        "TaskReady",
    ]
    assert {event.workspace_id for event in first} == {client.workspace}
    async with aclosing(client.events(ready, type="TaskClaimed")) as events:
        claimed = await client.tasks.claim("t1", ttl_seconds=77)
        event = await asyncio.wait_for(anext(events), 30)
    assert (event.seq, event.aggregate_id) == (claimed.first_seq, "t1")
    assert isinstance(event.event, TaskClaimed)
    assert event.event.ttl_seconds == 77


async def test_a_position_of_another_log_is_told_apart(client: AsyncClient) -> None:
    async with aclosing(client.events("1:999999999")) as events:
        with pytest.raises(errors.ResyncRequired) as required:
            await asyncio.wait_for(anext(events), 30)
    assert required.value.head


async def test_every_list_answers_with_rows_of_its_type(client: AsyncClient) -> None:
    await client.sessions.spawn(id="s1", blueprint=BLUEPRINT, project_id="core")
    await client.channels.open(id="c1", session_id="s1", scope="lineage", name="Findings")
    await client.boards.create(id="b1", project_id="core", name="Flow")
    hooked = await client.webhooks.create(id="ci", endpoint="https://ci.example/hook", aggregates=["task"])
    assert hooked.secret.startswith("whsec_")
    after = await ready_task(client)
    ids = {"principal": "user:root", "task": "t1", "session": "s1", "channel": "c1", "webhook": "ci"}
    for spec in QUERIES.values():
        if spec.many:
            target = ids[spec.aggregate] if "{id}" in spec.route else ""
            page = await client.page(spec.row, spec.query_type, target, after=after)
            assert all(isinstance(item, spec.row) for item in page.items), spec.query_type


def test_programs_without_an_event_loop_do_the_same(shared: Stack) -> None:
    with Client(shared.url, shared.root_key, f"w{secrets.token_hex(6)}") as client:
        assert client.workspace is not None
        client.workspaces.create(id=client.workspace, name=client.workspace)
        client.projects.create(id="core", name="core")
        made = client.tasks.create(id="t1", project_id="core", title="Do it")
        assert isinstance(client.tasks.get("t1", after=made), TaskRow)
        assert [task.id for task in client.tasks.iterate(limit=1)] == ["t1"]
        types = [event.type for event in itertools.islice(client.events("0:0"), 4)]
        assert types[-1] == "mp.task.TaskCreated.v1"
        with pytest.raises(errors.Rejected):
            client.tasks.start("t1", fence=1)
        assert client.in_workspace("elsewhere").tasks.list().items == []


async def test_a_follower_and_a_writer_outlive_every_service(stack: Stack) -> None:
    """Each service is killed and started anew while events flow: none is missed, none comes twice or out of order."""
    async with AsyncClient(stack.url, stack.root_key, "acme") as client:
        await client.workspaces.create(id="acme", name="Acme")
        begun = await client.projects.create(id="core", name="core")
        events: list[CloudEvent] = []
        following = asyncio.create_task(_follow(client, begun, events))
        over = asyncio.Event()
        writing = asyncio.create_task(_write(client, over))
        await eventually(lambda: following.done() or bool(events))  # A stream that never began may give up.
        for name in ("gateway-1", "kernel-1", "projector-1", "gateway-1"):
            process = stack.process(name)
            await asyncio.to_thread(process.kill)
            await asyncio.to_thread(process.start)
        over.set()
        outcomes = await writing
        await eventually(lambda: following.done() or len(events) >= len(outcomes), timeout=30)
        assert following.cancel(), following.exception()
    assert [event.seq for event in events] == [outcome.first_seq for outcome in outcomes]
    assert [event.aggregate_id for event in events] == [f"t{number}" for number in range(len(outcomes))]


async def _follow(client: AsyncClient, after: Outcome, into: list[CloudEvent]) -> None:
    async with aclosing(client.events(after, type="TaskCreated")) as events:
        async for event in events:
            into.append(event)  # noqa: PERF401 - `extend` would wait for the end, and there is none


async def _write(client: AsyncClient, over: asyncio.Event) -> list[Outcome]:
    outcomes: list[Outcome] = []
    while not over.is_set():
        outcomes.append(await _certainly(client, len(outcomes)))
    return outcomes


async def _certainly(client: AsyncClient, number: int) -> Outcome:
    """The outcome of one command, asked for with the same key until it is known."""

    async def create() -> Outcome:
        return await client.tasks.create(id=f"t{number}", project_id="core", title="x", idempotency_key=f"k{number}")

    return await eventually(create, timeout=60)
