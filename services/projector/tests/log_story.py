"""A long, true-to-life log, made from a seed: projects, boards, tasks on their way, sessions, channels, refusals.

For tests that need many events that fit each other, and for measuring.
"""

import random
from collections.abc import Iterator

from mpbus.reader import GENESIS, Commit, LogPosition, verify
from mpschema import board, channel, codec, principal, project, session, system, task, webhook, workspace
from mpschema.base import Event
from mpschema.envelope import CommitHeader, EventRecord
from mpschema.ids import uuid7
from mpschema.registry import record_of
from mpschema.rejections import Code
from mpschema.subjects import log_subject

START_MS = 1_767_225_600_000
SUBJECT = log_subject("0")
_BLUEPRINT = session.BlueprintRef(name="reviewer", version="1.2.0", digest="ab" * 32)
_LIMITS = session.SessionLimits()
_PATH = (
    "ready",
    "claim",
    "start",
    "renew",
    "submit",
    "reject",
    "submit",
    "accept",
    "complete",
)


class LogStory:
    """Writes commands as the kernel would: each with its events, versions without a gap, one id for a whole outcome."""

    def __init__(self, seed: int = 1, workspaces: int = 4, open_tasks: int = 400, subject: str = SUBJECT) -> None:
        self._subject = subject
        self._dice = random.Random(seed)
        self._versions: dict[tuple[str, str, str], int] = {}
        self._seq = 0
        self._time_ms = START_MS
        self._open_tasks = open_tasks
        self._pending: list[EventRecord] = []
        self._tasks: dict[str, list[tuple[str, int]]] = {}
        self._sessions: dict[str, list[tuple[str, tuple[str, ...]]]] = {}
        self._channels: dict[str, list[list[int | str]]] = {}
        for number in range(workspaces):
            self._found(f"ws-{number}")

    def records(self, count: int) -> list[EventRecord]:
        """At least so many more events, ending with a whole outcome."""
        while len(self._pending) < count:
            self._turn()
        taken, self._pending = self._pending, []
        return taken

    def commits(self, events: int, per_commit: int = 200, after: LogPosition = GENESIS) -> Iterator[Commit]:
        """At least so many more events as a verified chain of commits."""
        end = self._seq - len(self._pending) + events
        while after.seq < end:
            records = self.records(min(per_commit, end - after.seq))
            commit = commit_of(records, after, self._subject)
            after = commit.position
            yield commit

    def _found(self, ws: str) -> None:
        self._tasks[ws], self._sessions[ws], self._channels[ws] = [], [], []
        self._outcome(
            ws,
            ("workspace", ws, workspace.WorkspaceCreated(name=ws.title(), owner="user:ada")),
            ("principal", "user:ada", principal.RoleBound(role=principal.Role.OWNER)),
        )
        for name in ("core", "docs", "infra"):
            self._outcome(ws, ("project", name, project.ProjectCreated(name=name, labels=("python", 'say "hi"'))))
        columns = (board.Column(name="To do"), board.Column(name="Doing", wip_limit=30))
        self._outcome(ws, ("board", "flow", board.BoardCreated(project_id="core", name="Flow", columns=columns)))
        self._outcome(ws, ("board", "flow", board.ColumnAdded(column="Done", states=(task.TaskState.DONE,))))
        self._outcome(ws, ("principal", "user:ada", principal.RoleBound(role=principal.Role.DEVELOPER)))
        hooked = webhook.WebhookCreated(endpoint="https://ci.example/hook", after_seq=0, event_types=("TaskReady",))
        parked = webhook.DeliveryParked(key="task/t-1", seq=1, reason="the receiver answered 500", attempts=8)
        self._outcome(ws, ("webhook", "ci", hooked), ("webhook", "ci", parked))

    def _outcome(self, ws: str, *facts: tuple[str, str, Event], actor: str = "user:ada") -> None:
        """One command with its events."""
        self._time_ms += self._dice.randrange(3)
        command_id = uuid7(self._time_ms, self._dice.randbytes(10))
        for index, (aggregate, aggregate_id, event) in enumerate(facts):
            key = (ws, aggregate, aggregate_id)
            self._seq += 1
            version = self._versions[key] = self._versions.get(key, 0) + 1
            self._pending.append(
                record_of(
                    event,
                    seq=self._seq,
                    id=f"{command_id}:{index}",
                    workspace_id=ws,
                    aggregate_id=aggregate_id,
                    version=version,
                    time_ms=self._time_ms,
                    epoch=1,
                    actor=actor,
                    session_id=actor.removeprefix("agent:") if actor.startswith("agent:") else None,
                    digest=self._dice.randbytes(16).hex() if index == 0 else None,
                )
            )

    def _turn(self) -> None:
        ws = self._dice.choice(list(self._tasks))
        roll = self._dice.random()
        if roll < 0.70:
            self._work(ws)
        elif roll < 0.80:
            self._talk(ws)
        elif roll < 0.90:
            self._run(ws)
        elif roll < 0.97:
            self._refuse(ws)
        else:
            self._manage(ws)

    def _work(self, ws: str) -> None:
        tasks = self._tasks[ws]
        if len(tasks) < self._open_tasks and self._dice.random() < 0.5:
            task_id = f"task_{self._dice.randbytes(16).hex()}"
            title = f"Fix the login retry {len(tasks)}"
            created = task.TaskCreated(
                project_id="core", title=title, description="The third attempt is never made. " * 4, board_id="flow"
            )
            self._outcome(ws, ("task", task_id, created))
            tasks.append((task_id, 0))
        elif tasks:
            place = self._dice.randrange(len(tasks))
            task_id, step = tasks[place]
            actor = f"agent:reviewer-{place}"
            self._outcome(ws, ("task", task_id, self._task_event(_PATH[step], actor)), actor=actor)
            if step + 1 < len(_PATH):
                tasks[place] = (task_id, step + 1)
            else:
                tasks.pop(place)

    def _task_event(self, step: str, actor: str) -> Event:
        until = self._time_ms + 300_000
        evidence = (task.Evidence(kind="test", summary="14 passed in 2.1 s", sha256="cd" * 32),)
        return {
            "ready": task.TaskReady(),
            "claim": task.TaskClaimed(
                holder=actor, lease_id="l-1", fence=1, ttl_seconds=300, expires_at_ms=until, session_id=actor[6:]
            ),
            "start": task.TaskStarted(fence=1, expires_at_ms=until),
            "renew": task.TaskLeaseRenewed(fence=1, ttl_seconds=300, expires_at_ms=until),
            "submit": task.TaskSubmitted(fence=1, evidence=evidence),
            "reject": task.TaskRejected(reason="No test shows it.", expires_at_ms=until),
            "accept": task.TaskAccepted(),
            "complete": task.TaskCompleted(),
        }[step]

    def _talk(self, ws: str) -> None:
        channels = self._channels[ws]
        if not channels or (len(channels) < 30 and self._dice.random() < 0.1):
            name = f"channel-{len(channels)}"
            opened = channel.ChannelOpened(session_id="lead-1", scope=channel.Scope.LINEAGE, name=name)
            self._outcome(ws, ("channel", name, opened))
            channels.append([name, 0])
            return
        chosen = self._dice.choice(channels)
        name, count = str(chosen[0]), int(chosen[1])
        if count and self._dice.random() < 0.3:
            advanced = channel.CursorAdvanced(reader=f"user:{self._dice.randrange(5)}", cursor=count)
            self._outcome(ws, ("channel", name, advanced))
            return
        chosen[1] = count + 1
        posted = channel.MessagePosted(
            message_seq=count + 1,
            kind="finding",
            body="retries = range(1, 3) ends one attempt early \N{EN DASH} see line 12",
            sender="agent:reviewer-1",
            provenance=channel.Provenance.PEER,
            reply_by_ms=self._time_ms + 600_000 if self._dice.random() < 0.2 else None,
        )
        self._outcome(ws, ("channel", name, posted), actor="agent:reviewer-1")

    def _run(self, ws: str) -> None:
        live = self._sessions[ws]
        if len(live) < 50 and self._dice.random() < 0.6:
            above, lineage = self._dice.choice(live) if live and self._dice.random() < 0.7 else ("", ())
            lineage = (*lineage, above) if above and len(lineage) < 4 else ()
            session_id = f"session_{self._dice.randbytes(16).hex()}"
            spawned = session.SessionSpawned(
                blueprint=_BLUEPRINT,
                root_id=lineage[0] if lineage else session_id,
                depth=len(lineage),
                lineage=lineage,
                limits=_LIMITS,
                parent_id=lineage[-1] if lineage else None,
                project_id="core",
            )
            self._outcome(ws, ("session", session_id, spawned), ("session", session_id, session.SessionStarted()))
            live.append((session_id, lineage))
        elif live:
            session_id, _ = live.pop(self._dice.randrange(len(live)))
            self._outcome(ws, ("session", session_id, session.SessionCompleted(result="One bug found, one fixed.")))

    def _refuse(self, ws: str) -> None:
        refused = system.CommandRejected(
            code=Code.STALE_FENCE, detail="the claim has fence 7, not 6", command_type="task.submit", target="t-1"
        )
        self._outcome(ws, ("command", f"c-{self._seq}", refused))

    def _manage(self, ws: str) -> None:
        tasks = self._tasks[ws]
        match self._dice.randrange(5):
            case 0 if tasks:
                task_id, to = self._dice.choice(tasks)[0], self._dice.choice(tasks)[0]
                self._outcome(ws, ("task", task_id, task.TaskLinked(kind=task.LinkKind.RELATES, to=to)))
            case 1 if tasks:
                task_id, to = self._dice.choice(tasks)[0], self._dice.choice(tasks)[0]
                self._outcome(ws, ("task", task_id, task.TaskUnlinked(kind=task.LinkKind.RELATES, to=to)))
            case 2:
                self._outcome(ws, ("board", "flow", board.ColumnLimited(column="Doing", wip_limit=self._seq % 50 + 1)))
            case 3:
                who = f"user:{self._dice.randrange(40)}"
                roles = (principal.RoleBound, principal.RoleUnbound)
                self._outcome(ws, ("principal", who, self._dice.choice(roles)(role=principal.Role.VIEWER)))
            case _:
                self._outcome(ws, ("project", "docs", project.ProjectConfigured(labels=("a", "b\\c", "{}"))))


def commit_of(records: list[EventRecord], after: LogPosition, subject: str = SUBJECT) -> Commit:
    """The commit the kernel would make of these events, verified as the reader does."""
    header = CommitHeader(
        epoch=records[0].epoch,
        first_seq=records[0].seq,
        count=len(records),
        time_ms=records[-1].time_ms,
        previous_hash=after.hash,
        command_position=records[-1].seq,
        commands=len(records),
    )
    data = codec.encode_commit(header, records)
    return verify(after, after.stream_seq + 1, subject, data, codec.commit_hash(after.hash, subject, data))
