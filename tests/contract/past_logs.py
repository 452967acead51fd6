"""Logs of past releases, kept for ever: what they meant when they were written they must mean to every later build.

`python -m tests.contract.past_logs NAME` records one with this build, below `tests/contract/past/`: each command of
the story is decided by the kernel's own core, so the log holds every event type. Record another when an event, a
command or the fold gains something; never change one that is there.
"""

from __future__ import annotations

import hashlib
import json
import sys
import time
from pathlib import Path
from typing import Any

import msgspec
from mpbus.reader import GENESIS, Commit
from mpcore.access.policy import RoleAuthorizer
from mpcore.engine.shard import Shard
from mpcore.engine.snapshot import state_root
from mpcore.engine.timers import due
from mpcore.engine.turn import Turn
from mpcore.state.facts import Fact
from mpoperator.backup import manifest
from mpoperator.backup.fold import fold_segment
from mpoperator.backup.manifest import LOG, Backup
from mpoperator.copies.checkpoints import PublicKeys
from mpoperator.copies.segments import Writer, read_commits, read_manifest
from mpschema import codec, levels, subjects
from mpschema.base import Event
from mpschema.envelope import CommandEnvelope
from mpschema.rejections import Code
from mpschema.system import (
    SYSTEM_WORKSPACE,
    FeatureLevelRaised,
    FollowUpRefused,
    LeaderElected,
    LineSurvived,
    LineTried,
    LogCheckpointed,
    LogRestored,
)
from mpschema.webhook import WORKER
from mpstore.snapshots.reducers import reducer_digest
from mpviews import VIEWS
from mpviews.rows import fresh_fold

LOGS = Path(__file__).with_name("past")
SHARD = "0"
ROOT = "user:root"
START_MS = 1_795_000_000_000
EVIDENCE = [{"kind": "test", "summary": "green"}]
BLUEPRINT = {"name": "lead", "version": "1.0.0", "digest": "ab" * 32}
COLUMNS = [{"name": "To do", "states": ["draft", "ready"]}, {"name": "Doing", "states": ["claimed"], "wip_limit": 3}]
LATER = "later"
Step = tuple[str, str, dict[str, Any]]

STORY: list[Step] = [
    ("workspace.create", "acme", {"name": "Acme"}),
    ("workspace.rename", "acme", {"name": "Acme Labs"}),
    ("workspace.freeze", "acme", {"reason": "an audit"}),
    ("workspace.thaw", "acme", {}),
    ("principal.bind_role", "user:dora", {"role": "developer"}),
    ("principal.bind_role", "user:vera", {"role": "viewer"}),
    ("principal.unbind_role", "user:vera", {"role": "viewer"}),
    ("principal.issue_key", "user:dora", {"key_id": "k1", "key_hash": "cd" * 32}),
    ("principal.revoke_key", "user:dora", {"key_id": "k1"}),
    ("project.create", "core", {"name": "core", "repo": "https://git.example/core.git", "labels": ["python"]}),
    ("project.configure", "core", {"default_branch": "trunk"}),
    ("project.create", "old", {"name": "old"}),
    ("project.archive", "old", {}),
    ("board.create", "b1", {"project_id": "core", "name": "Flow", "columns": COLUMNS}),
    ("board.add_column", "b1", {"column": "Review", "states": ["in_review"]}),
    ("board.map_column", "b1", {"column": "To do", "states": ["ready"]}),
    ("board.limit_column", "b1", {"column": "Doing", "wip_limit": 4}),
    ("board.reorder", "b1", {"columns": ["Doing", "To do", "Review"]}),
    ("board.create", "b2", {"project_id": "core", "name": "Gone"}),
    ("board.archive", "b2", {}),
    ("session.spawn", "s1", {"blueprint": BLUEPRINT, "project_id": "core", "purpose": "lead"}),
    ("session.start", "s1", {}),
    ("session.pause", "s1", {"reason": "waits"}),
    ("session.resume", "s1", {}),
    ("session.issue_token", "s1", {}),
    ("session.revoke_tokens", "s1", {"reason": "it stood in a build log"}),
    ("session.spawn", "s2", {"blueprint": BLUEPRINT, "parent_id": "s1", "labels": ["helper"]}),
    ("session.start", "s2", {}),
    ("session.spawn", "s3", {"blueprint": BLUEPRINT, "project_id": "core"}),
    ("session.start", "s3", {}),
    ("task.create", "t1", {"project_id": "core", "title": "Fix it", "board_id": "b1", "labels": ["bug"]}),
    ("task.edit", "t1", {"title": "Fix it well", "priority": 0}),
    ("task.create", "t2", {"project_id": "core", "title": "Then this"}),
    ("task.link", "t1", {"kind": "blocks", "to": "t2"}),
    ("task.unlink", "t1", {"kind": "blocks", "to": "t2"}),
    ("task.mark_ready", "t1", {}),
    ("task.claim", "t1", {"ttl_seconds": 60}),
    ("task.renew", "t1", {"fence": 1, "ttl_seconds": 120}),
    ("task.start", "t1", {"fence": 1}),
    ("task.submit", "t1", {"fence": 1, "evidence": EVIDENCE}),
    ("task.reject", "t1", {"reason": "no test shows it"}),
    ("task.submit", "t1", {"fence": 1, "evidence": EVIDENCE}),
    ("task.accept", "t1", {"note": "good"}),
    ("task.complete", "t1", {}),
    ("task.reopen", "t1", {"reason": "it came back"}),
    ("task.cancel", "t1", {"reason": "the feature goes"}),
    ("task.block", "t2", {"reason": "waits for a server"}),
    ("task.unblock", "t2", {}),
    ("task.mark_ready", "t2", {}),
    ("task.claim", "t2", {"session_id": "s2", "ttl_seconds": 60}),
    ("task.release", "t2", {"fence": 1}),
    ("task.claim", "t2", {"session_id": "s2", "ttl_seconds": 60}),
    ("task.submit", "t2", {"fence": 1, "evidence": EVIDENCE}),
    ("channel.open", "talk", {"session_id": "s1", "scope": "subtree", "name": "Findings"}),
    ("channel.post", "talk", {"kind": "question", "body": "Which way?", "reply_by_seconds": 30}),
    ("channel.ack", "talk", {"cursor": 1}),
    (LATER, "", {}),
    ("channel.close", "talk", {"reason": "done"}),
    ("session.fail", "s2", {"failure": "model_unavailable"}),
    ("session.complete", "s3", {"result": "one bug found"}),
    ("session.cancel", "s1", {"reason": "superseded"}),
    ("webhook.create", "w1", {"endpoint": "https://ci.example/hook", "event_types": ["TaskReady"], "after_seq": 3}),
    ("webhook.configure", "w1", {"aggregates": ["task"], "event_types": []}),
    ("webhook.rotate_secret", "w1", {}),
    ("webhook.park", "w1", {"key": "task/t1", "seq": 40, "reason": "the receiver answered 500", "attempts": 8}),
    ("webhook.park", "w1", {"key": "task/t2", "seq": 41, "reason": "the receiver answered 500", "attempts": 8}),
    ("webhook.requeue", "w1", {"key": "task/t1"}),
    ("webhook.clear", "w1", {"key": "task/t1"}),
    ("webhook.pause", "w1", {"reason": "moving"}),
    ("webhook.resume", "w1", {"after_seq": 10}),
    ("webhook.create", "w2", {"endpoint": "https://ci.example/other"}),
    ("webhook.remove", "w2", {}),
    ("log.set_limits", "log", {"sweep_facts": 1}),
    ("session.spawn", "s4", {"blueprint": BLUEPRINT, "project_id": "core"}),
    ("session.spawn", "s5", {"blueprint": BLUEPRINT, "parent_id": "s4"}),
    ("session.spawn", "s6", {"blueprint": BLUEPRINT, "parent_id": "s5"}),
    ("session.cancel", "s4", {"reason": "runaway"}),
    (LATER, "", {}),
    (LATER, "", {}),
    (LATER, "", {}),
    ("workspace.create", "gone", {"name": "Gone"}),
    ("workspace.archive", "gone", {}),
]
"""The commands, in order. `later` lets five minutes pass. A refusal is meant: of an old fence, for one."""


class Recorder:
    """A kernel's core without a world around it, whose commits are kept."""

    def __init__(self) -> None:
        self.shard = Shard()
        self.position = GENESIS
        self.commits: list[Commit] = []
        self.now_ms = START_MS
        self._number = 0

    def tell(self) -> None:
        """The whole story, from an election over a checkpoint to a restoration."""
        self._note(1, LeaderElected(leader_epoch=1, node="kernel-1", operators=(ROOT,)), "election_1:0")
        self._note(1, FeatureLevelRaised(level=levels.FEATURE_LEVEL), "election_1:1")
        for kind, target, payload in STORY:
            if kind == LATER:
                self._let_time_pass()
            else:
                self._command(kind, target, payload)
        self._try_a_line()
        self._refuse_a_follow_up()
        at, root = self.position, state_root(self.shard)
        checkpoint = LogCheckpointed(at_seq=at.seq, head=at.hash, state_root=root)
        self._note(3, checkpoint, f"checkpoint_{at.seq}:0")
        at, root = self.position, state_root(self.shard)
        restored = LogRestored(at_seq=at.seq, head=at.hash, state_root=root, source="backup", copied_at_ms=START_MS)
        self._note(1_795_000_300, restored, "restoration_1795000300:0")

    def _command(self, kind: str, target: str, payload: dict[str, Any]) -> None:
        self._number += 1
        self.now_ms += 250
        workspace_id = {"workspace": target, "log": SYSTEM_WORKSPACE}.get(kind.partition(".")[0], "acme")
        envelope = CommandEnvelope(
            command_id=f"cmd-{self._number}",
            type=kind,
            workspace_id=workspace_id,
            principal=ROOT,
            target=target,
            idempotency_key=f"key-{self._number}" if self._number % 3 == 0 else "",
            payload=msgspec.Raw(msgspec.json.encode(payload)),
        )
        turn = self._turn(1)
        sender = f"{WORKER}:1" if kind in ("webhook.park", "webhook.clear") else ""
        turn.take(self._number, "", codec.encode(envelope), sender)
        self._seal(turn)

    def _try_a_line(self) -> None:
        """Two leaders come no further than one line; the first of them lives, and says so."""
        for epoch, process in ((2, "kernel-2-a"), (3, "kernel-2-b")):
            self._note(
                epoch, LeaderElected(leader_epoch=epoch, node="kernel-2", operators=(ROOT,)), f"election_{epoch}:0"
            )
            tried = LineTried(position=self._number + 1, line=0, process=process)
            self._note(epoch, tried, f"try_{epoch}_{self._number + 1}_0:0")
        survived = LineSurvived(position=self._number + 1, line=0, process="kernel-2-a")
        self._note(3, survived, "survived_3:0")

    def _refuse_a_follow_up(self) -> None:
        """Record what only a fault of the kernel leads to: nothing in the story does."""
        turn = self._turn(3)
        refused = FollowUpRefused("task.expire_lease", Code.INVALID_STATE, "task t1 is done", "t1")
        turn.record(Fact("command", "followup_1", refused), "acme", "followup_1:0", "kernel")
        self._seal(turn)

    def _let_time_pass(self) -> None:
        self.now_ms += 300_000
        turn = self._turn(1)
        for timer in due(self.shard.world, self.now_ms, 100):
            turn.fire(timer)
        self._seal(turn)

    def _note(self, epoch: int, event: Event, event_id: str) -> None:
        turn = self._turn(epoch)
        turn.note(Fact("log", "log", event), event_id)
        self._seal(turn)

    def _turn(self, epoch: int) -> Turn:
        return Turn(self.shard, epoch, self.now_ms, RoleAuthorizer())

    def _seal(self, turn: Turn) -> None:
        sealed, subject = turn.seal(self.position.hash), subjects.log_subject(SHARD)
        found = codec.commit_hash(self.position.hash, subject, sealed.data)
        header, body = codec.split_commit(sealed.data)
        self.commits.append(Commit(self.position.stream_seq + 1, subject, sealed.data, found, header, body))
        self.position = self.commits[-1].position


def record(folder: Path) -> Backup:
    """Write a log of this build as a backup, with what its read models are."""
    recorder = Recorder()
    recorder.tell()
    with Writer(folder / LOG, SHARD, GENESIS) as writer:
        for commit in recorder.commits:
            writer.add(commit)
        segment = writer.seal([], PublicKeys())
    folded = fold_segment(folder / LOG, segment)
    (folder / "views.json").write_text(json.dumps(read_models(folder), indent=1) + "\n")
    backup = Backup(
        shard=SHARD,
        taken_at_ms=time.time_ns() // 1_000_000,
        seq=folded.position.seq,
        stream_seq=folded.position.stream_seq,
        head=folded.position.hash,
        head_time_ms=folded.time_ms,
        epoch=folded.shard.world.epoch,
        command_position=folded.shard.command_position,
        state_root=folded.root,
        reducer_digest=reducer_digest(),
        aggregates=folded.aggregates,
        waiting_commands=0,
        files=manifest.files_of(folder),
        versions={},
    )
    manifest.write(folder, backup)
    return backup


def commits_of(folder: Path) -> list[Commit]:
    """The commits of a past log, verified."""
    return [commit for batch in read_commits(folder / LOG, read_manifest(folder / LOG)) for commit in batch]


def read_models(folder: Path) -> dict[str, Any]:
    """Fold a past log with this build's views: for each its version, and a digest of each table's rows."""
    tables = fresh_fold(commits_of(folder))
    return {
        view.name: {"version": view.version, "tables": {each.name: _digest(tables[each.name]) for each in view.tables}}
        for view in VIEWS.values()
    }


def past_logs() -> list[Path]:
    """The folders of all past logs."""
    return [path.parent for path in sorted(LOGS.glob(f"*/{manifest.MANIFEST}"))]


def _digest(rows: list[dict[str, Any]]) -> str:
    return hashlib.sha256(msgspec.json.encode(rows, order="deterministic")).hexdigest()


if __name__ == "__main__":
    sys.stdout.write(f"{record(LOGS / sys.argv[1]).seq} events recorded\n")
