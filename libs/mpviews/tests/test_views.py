"""The effect of each event on the rows: given these events, a view shows these rows."""

import hashlib
from typing import Any

import pytest
from mpbus.reader import GENESIS
from mpschema import board, channel, principal, project, session, system, task, webhook, workspace
from mpschema.base import Event
from mpschema.envelope import EventRecord
from mpschema.queries import QUERIES
from mpschema.registry import EVENTS, record_of
from mpschema.rejections import Code
from mpschema.rows import QuerySpec
from mpschema.system.rows import ProjectionRow
from mpschema.task import TaskState
from mpschema.webhook.rows import DeliveryRow, WaitingKeyRow
from mpviews import VIEWS
from mpviews.changes import Cases
from mpviews.rows import fresh_fold

from services.projector.tests.log_story import commit_of

WS = "acme"
SYSTEM_AGGREGATES = {"command", "timer", "log"}
Fact = tuple[str, str, Event]


def events(*facts: Fact, after_seq: int = 0) -> list[EventRecord]:
    """Each fact as the outcome of a command of its own: event n happens at n seconds."""
    versions: dict[tuple[str, str], int] = {}
    records = []
    for seq, (aggregate, aggregate_id, event) in enumerate(facts, after_seq + 1):
        version = versions[aggregate, aggregate_id] = versions.get((aggregate, aggregate_id), 0) + 1
        records.append(
            record_of(
                event,
                seq=seq,
                id=f"c{seq}:0",
                workspace_id=WS,
                aggregate_id=aggregate_id,
                version=version,
                time_ms=seq * 1_000,
                epoch=1,
                actor="user:ada",
                digest="d" * 32,
            )
        )
    return records


def rows_of(table: str, *facts: Fact) -> list[dict[str, Any]]:
    """The rows of a table after these facts."""
    return fresh_fold([commit_of(events(*facts), GENESIS)])[table]


def only(table: str, *facts: Fact) -> dict[str, Any]:
    """The one row of a table after these facts."""
    (row,) = rows_of(table, *facts)
    return row


def on(aggregate: str, aggregate_id: str) -> Any:
    """Makes facts about one aggregate."""
    return lambda *happened: [(aggregate, aggregate_id, event) for event in happened]


CREATED = task.TaskCreated(project_id="core", title="Fix it", labels=("bug",))
CLAIMED = task.TaskClaimed(
    holder="user:bo", lease_id="l", fence=1, ttl_seconds=60, expires_at_ms=90_000, session_id="s-1"
)
IN_REVIEW = (
    CREATED,
    task.TaskReady(),
    CLAIMED,
    task.TaskStarted(fence=1, expires_at_ms=91_000),
    task.TaskSubmitted(fence=1, evidence=(task.Evidence(kind="test", summary="passed"),)),
)
about_task = on("task", "t-1")


def task_after(*happened: Event) -> dict[str, Any]:
    """The task's row after these events."""
    return only("tasks", *about_task(*happened))


def test_every_event_of_the_aggregates_a_view_shows_has_a_case() -> None:
    shown: set[str] = set()
    for view in VIEWS.values():
        if isinstance(view.changes, Cases):
            assert view.changes.missing() == set(), view.name
            shown |= view.changes.aggregates
    assert shown | SYSTEM_AGGREGATES == {spec.aggregate for spec in EVENTS.values()}


def test_a_new_task_is_a_draft_that_nobody_holds() -> None:
    row = task_after(CREATED)
    assert (row["state"], row["holder"], row["fence"], row["labels"]) == ("draft", None, 0, ["bug"])
    assert (row["version"], row["created_seq"], row["last_seq"]) == (1, 1, 1)


def test_a_claim_shows_who_holds_the_task_until_when() -> None:
    row = task_after(CREATED, task.TaskReady(), CLAIMED)
    assert (row["state"], row["holder"], row["session_id"]) == ("claimed", "user:bo", "s-1")
    assert (row["fence"], row["lease_expires_at"]) == (1, 90_000)
    assert (row["version"], row["created_at"], row["updated_at"]) == (3, 1_000, 3_000)


@pytest.mark.parametrize(
    "ended",
    [
        task.TaskReleased(fence=1, holder="user:bo"),
        task.TaskLeaseExpired(fence=1, holder="user:bo"),
    ],
)
def test_a_claim_that_ends_frees_the_task_and_its_fence_stays(ended: Event) -> None:
    row = task_after(CREATED, task.TaskReady(), CLAIMED, ended)
    assert (row["state"], row["holder"], row["session_id"], row["lease_expires_at"]) == ("ready", None, None, None)
    assert row["fence"] == 1


def test_work_in_review_has_its_evidence_a_holder_and_no_running_lease() -> None:
    row = task_after(*IN_REVIEW)
    assert (row["state"], row["holder"], row["lease_expires_at"]) == ("in_review", "user:bo", None)
    assert row["evidence"] == [{"kind": "test", "summary": "passed"}]


def test_a_rejection_sends_the_work_back_with_the_reason_and_the_lease_runs_again() -> None:
    row = task_after(*IN_REVIEW, task.TaskRejected(reason="No test.", expires_at_ms=99_000))
    assert (row["state"], row["reason"], row["lease_expires_at"]) == ("in_progress", "No test.", 99_000)


def test_a_task_that_is_done_stays_accepted_and_nobody_holds_it() -> None:
    row = task_after(*IN_REVIEW, task.TaskAccepted(), task.TaskCompleted())
    assert (row["state"], row["accepted"], row["holder"]) == ("done", True, None)


def test_a_task_that_is_reopened_begins_anew() -> None:
    row = task_after(*IN_REVIEW, task.TaskAccepted(), task.TaskCompleted(), task.TaskReopened(reason="again"))
    assert (row["state"], row["accepted"], row["evidence"], row["reason"]) == ("draft", False, [], "again")


def test_a_block_ends_the_claim_and_its_end_brings_back_the_state_that_is_recorded() -> None:
    blocked = (CREATED, task.TaskReady(), CLAIMED, task.TaskBlocked(reason="waits"))
    assert (task_after(*blocked)["state"], task_after(*blocked)["holder"]) == ("blocked", None)
    assert task_after(*blocked, task.TaskUnblocked(state=TaskState.READY))["state"] == "ready"


def test_an_edit_changes_what_it_names_and_nothing_else() -> None:
    row = task_after(CREATED, task.TaskEdited(title="Fix them", labels=()))
    assert (row["title"], row["labels"], row["priority"], row["project_id"]) == ("Fix them", [], 2, "core")


def test_links_come_and_go() -> None:
    link = task.TaskLinked(kind=task.LinkKind.BLOCKS, to="t-2")
    unlink = task.TaskUnlinked(kind=task.LinkKind.BLOCKS, to="t-2")
    assert only("task_links", *about_task(CREATED, link))["to_id"] == "t-2"
    assert rows_of("task_links", *about_task(CREATED, link, unlink)) == []
    assert only("task_links", *about_task(CREATED, link, unlink, link))["created_seq"] == 4


def test_a_boards_columns_are_added_changed_and_put_in_order() -> None:
    row = only(
        "boards",
        *on("board", "b-1")(
            board.BoardCreated(project_id="core", name="Flow", columns=(board.Column(name="To do"),)),
            board.ColumnAdded(column="Doing", wip_limit=3),
            board.ColumnMapped(column="To do", states=(TaskState.READY,)),
            board.ColumnLimited(column="Doing"),
            board.ColumnsReordered(columns=("Doing", "To do")),
        ),
    )
    assert row["columns"] == [{"name": "Doing"}, {"name": "To do", "states": ["ready"]}]
    assert row["version"] == 5


def test_a_principal_appears_with_its_first_role_and_roles_are_a_sorted_set() -> None:
    bound = [principal.RoleBound(role=role) for role in (principal.Role.VIEWER, principal.Role.AGENT)]
    row = only(
        "principals", *on("principal", "user:bo")(*bound, bound[0], principal.RoleUnbound(role=principal.Role.AGENT))
    )
    assert (row["roles"], row["version"]) == (["viewer"], 4)
    assert only("principals", *on("principal", "user:bo")(*bound))["roles"] == ["agent", "viewer"]


def test_a_key_shows_whose_it_is_and_when_it_was_revoked() -> None:
    issued = principal.KeyIssued(key_id="k-1", key_hash="ab" * 32, expires_at_ms=50_000)
    facts = on("principal", "service:ci")(issued, principal.KeyRevoked(key_id="k-1"))
    row = only("keys", *facts)
    assert (row["principal_id"], row["expires_at"], row["revoked_at"]) == ("service:ci", 50_000, 2_000)
    assert only("principals", *facts)["roles"] == []


def test_a_workspace_shows_its_state() -> None:
    about = on("workspace", WS)
    made = workspace.WorkspaceCreated(name="Acme", owner="user:ada")
    renamed = workspace.WorkspaceRenamed(name="Acme Labs")
    frozen = workspace.WorkspaceFrozen(reason="look")
    assert only("workspaces", *about(made, renamed))["name"] == "Acme Labs"
    assert only("workspaces", *about(made, frozen))["state"] == "frozen"
    assert only("workspaces", *about(made, frozen, workspace.WorkspaceThawed()))["state"] == "active"
    assert only("workspaces", *about(made, workspace.WorkspaceArchived()))["state"] == "archived"


def test_a_project_keeps_what_a_configuration_leaves_out() -> None:
    created = project.ProjectCreated(name="core", repo="r", default_branch="main", labels=("python",))
    row = only("projects", *on("project", "core")(created, project.ProjectConfigured(default_branch="trunk")))
    assert (row["repo"], row["default_branch"], row["labels"], row["state"]) == ("r", "trunk", ["python"], "open")


def spawned(*lineage: str) -> session.SessionSpawned:
    """A session below these."""
    return session.SessionSpawned(
        blueprint=session.BlueprintRef(name="reviewer", version="1", digest="ab" * 32),
        root_id=lineage[0] if lineage else "root",
        depth=len(lineage),
        lineage=lineage,
        limits=session.SessionLimits(),
        parent_id=lineage[-1] if lineage else None,
    )


def test_lineage_pairs_a_session_with_everyone_above_it() -> None:
    rows = rows_of(
        "session_lineage",
        ("session", "root", spawned()),
        ("session", "child", spawned("root")),
        ("session", "leaf", spawned("root", "child")),
    )
    pairs = {(row["ancestor_id"], row["descendant_id"]): row["distance"] for row in rows}
    assert pairs == {("root", "child"): 1, ("child", "leaf"): 1, ("root", "leaf"): 2}


def test_a_session_shows_how_it_ended() -> None:
    about = on("session", "root")
    failed = only("sessions", *about(spawned(), session.SessionFailed(failure="timeout", detail="90 s")))
    assert (failed["state"], failed["failure"], failed["reason"]) == ("failed", "timeout", "90 s")
    done = only("sessions", *about(spawned(), session.SessionStarted(), session.SessionCompleted(result="fine")))
    assert (done["state"], done["result"], done["version"]) == ("completed", "fine", 3)


def test_a_channel_counts_its_messages_and_remembers_its_readers() -> None:
    posted = channel.MessagePosted(
        message_seq=1, kind="ask", body="?", sender="user:bo", provenance=channel.Provenance.PEER, reply_by_ms=9_000
    )
    facts = on("channel", "ch")(
        channel.ChannelOpened(session_id="root", scope=channel.Scope.LINEAGE, name="Findings"),
        posted,
        channel.CursorAdvanced(reader="user:ada", cursor=1),
        channel.ReplyOverdue(message_seq=1),
    )
    assert (only("channels", *facts)["messages"], only("channels", *facts)["version"]) == (1, 4)
    assert only("cursors", *facts)["cursor"] == 1
    assert (only("messages", *facts)["reply_overdue"], only("messages", *facts)["reply_by"]) == (True, 9_000)


HOOKED = webhook.WebhookCreated(endpoint="https://ci.example", after_seq=0, aggregates=("task",))
PARKED = webhook.DeliveryParked(key="task/t1", seq=1, reason="answered 500", attempts=8)


def test_a_webhook_shows_where_it_goes_and_from_where_on() -> None:
    about = on("webhook", "w1")
    row = only(
        "webhooks",
        *about(HOOKED, webhook.WebhookConfigured(endpoint="https://new.example", event_types=("TaskReady",))),
    )
    assert (row["endpoint"], row["event_types"], row["aggregates"]) == ("https://new.example", ["TaskReady"], ["task"])
    row = only("webhooks", *about(HOOKED, webhook.WebhookPaused(reason="gone")))
    assert (row["state"], row["reason"], row["after_seq"], row["started_seq"]) == ("paused", "gone", 0, 1)
    row = only("webhooks", *about(HOOKED, webhook.WebhookPaused(), webhook.WebhookResumed(after_seq=2)))
    assert (row["state"], row["reason"], row["after_seq"], row["started_seq"]) == ("active", "", 2, 3)
    row = only("webhooks", *about(HOOKED, webhook.WebhookSecretRotated(generation=2, previous_until_ms=9_000)))
    assert (row["generation"], row["previous_until"]) == (2, 9_000)


def test_a_parked_key_is_a_row_until_it_has_caught_up() -> None:
    about = on("webhook", "w1")
    row = only("parked_keys", *about(HOOKED, PARKED))
    assert (row["key"], row["state"], row["seq"], row["attempts"]) == ("task/t1", "parked", 1, 8)
    requeued = (HOOKED, PARKED, webhook.DeliveryRequeued(key="task/t1"))
    assert only("parked_keys", *about(*requeued))["state"] == "requeued"
    assert only("parked_keys", *about(*requeued, PARKED))["state"] == "parked"
    assert rows_of("parked_keys", *about(*requeued, webhook.DeliveryCleared(key="task/t1"))) == []


def test_an_outcome_is_a_row_from_its_first_event_to_its_last() -> None:
    records = events(*about_task(CREATED, task.TaskReady(), task.TaskEdited(title="x")))
    first, second, third = records
    outcome = [first, second.__class__(**_fields(second) | {"id": "c1:1", "digest": None}), third]
    rows = fresh_fold([commit_of(outcome, GENESIS)])["commands"]
    assert [(row["id"], row["first_seq"], row["last_seq"], row["status"]) for row in rows] == [
        ("c1", 1, 2, "accepted"),
        ("c3", 3, 3, "accepted"),
    ]


def test_a_refusal_is_a_row_with_its_reason() -> None:
    refused = system.CommandRejected(code=Code.STALE_FENCE, detail="old", command_type="task.submit", target="t-1")
    row = only("commands", ("command", "c1", refused))
    assert (row["status"], row["code"], row["command_type"], row["target"]) == (
        "rejected",
        "stale_fence",
        "task.submit",
        "t-1",
    )


def test_what_answers_no_command_is_no_outcome() -> None:
    fired = events(("timer", "lease", system.TimerFired(due_ms=1, kind="task_lease")), *about_task(CREATED))
    fired = [record.__class__(**_fields(record) | {"digest": None}) for record in fired]
    assert fresh_fold([commit_of(fired, GENESIS)])["commands"] == []


def test_the_archive_gives_back_a_commits_exact_bytes() -> None:
    commit = commit_of(events(*about_task(*IN_REVIEW)), GENESIS)
    archive = fresh_fold([commit])
    (head,), lines = archive["log_commits"], archive["log_events"]
    assert b"\n".join([head["header"], *(line["event"] for line in lines), b""]) == commit.data
    assert (head["hash"], head["last_seq"]) == (commit.hash, 5)
    assert all(line["hash"] == hashlib.sha256(line["event"]).hexdigest() for line in lines)


@pytest.mark.parametrize("spec", QUERIES.values(), ids=lambda spec: spec.query_type)
def test_every_query_finds_its_columns(spec: QuerySpec) -> None:
    of_services = (ProjectionRow, DeliveryRow, WaitingKeyRow)
    columns = [{*table.columns, *table.asked} for view in VIEWS.values() for table in view.tables]
    fields = set(spec.row.__struct_fields__)
    assert spec.row in of_services or any(fields <= table for table in columns)


def _fields(record: EventRecord) -> dict[str, Any]:
    return {name: getattr(record, name) for name in record.__struct_fields__}
