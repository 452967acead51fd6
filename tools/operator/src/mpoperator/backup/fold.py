"""A segment's fold: the state that a log must lead to, wherever it stands."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from mpbus.reader import GENESIS, Commit, LogPosition
from mpcli.progress import meter
from mpcore.engine.shard import Shard
from mpcore.engine.snapshot import state_root
from mpschema.codec import MalformedCommit

from mpoperator.copies.segments import Manifest, read_commits
from mpoperator.errors import Disproved, Finding


@dataclass
class Folded:
    """The result of folding a log from its first commit."""

    where: str
    shard: Shard = field(default_factory=Shard)
    position: LogPosition = GENESIS
    time_ms: int = 0
    _root: str | None = None

    def take(self, commit: Commit) -> None:
        """Fold the next commit, verified. Raises `Disproved` where this build cannot."""
        try:
            self.shard.fold(commit.header, commit.records)
        except MalformedCommit as error:
            detail = f"cannot be folded by this build: {error}"
            finding = Finding(
                where=self.where, detail=detail, stream_seq=commit.stream_seq, seq=commit.header.first_seq
            )
            raise Disproved(finding) from error
        self.position, self.time_ms, self._root = commit.position, commit.header.time_ms, None

    @property
    def root(self) -> str:
        """The state root; takes a moment."""
        self._root = self._root or state_root(self.shard)
        return self._root

    @property
    def aggregates(self) -> dict[str, int]:
        """The number of each kind."""
        counts: Counter[str] = Counter()
        for tenant in self.shard.world.tenants.values():
            counts.update({kind: len(index.by_id) for kind, index in tenant.indexes.items()})
        return dict(sorted(counts.items()))


def fold_segment(folder: Path, manifest: Manifest) -> Folded:
    """Fold a segment that begins with the first commit; its chain is verified on the way. Raises `Disproved`."""
    folded = Folded("segment")
    with meter("folding", manifest.events) as bar:
        for commits in read_commits(folder, manifest):
            for commit in commits:
                folded.take(commit)
            bar.advance(sum(commit.header.count for commit in commits))
    return folded
