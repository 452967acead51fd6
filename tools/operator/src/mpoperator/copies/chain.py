"""The chain, checked commit by commit, whichever copy of the log they come from. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import NoReturn

from mpbus.errors import ChainBroken
from mpbus.reader import GENESIS, Commit, LogPosition, verify
from mpschema import codec
from mpstore.log import Stored

from mpoperator.errors import Disproved, Finding


class Chain:
    """Follows one copy of a log from a position that is believed, and raises `Disproved` at the first thing wrong.

    Always checked: the hash of each commit's bytes, its link to the one before, gapless positions of commits and of
    events, that as many lines follow as the header says, and that epochs and times never fall. With `deep` every event
    is decoded, too, and must stand at its own position and in its commit's epoch.
    """

    def __init__(self, where: str, subject: str, after: LogPosition = GENESIS, *, deep: bool = False) -> None:
        self.where = where
        self.position = after
        self.commits = 0
        self.events = 0
        self._subject = subject
        self._deep = deep
        self._epoch = 0
        self._time_ms = 0

    @property
    def epoch(self) -> int:
        """Of the last commit; 0 before the first."""
        return self._epoch

    def beyond(self, stored: Stored) -> Chain:
        """Another chain of the same log: it begins after a commit, and believes it. Raises `MalformedCommit`."""
        header, _ = codec.split_commit(stored.data)
        last = header.first_seq + header.count - 1
        chain = Chain(self.where, self._subject, LogPosition(stored.stream_seq, last, stored.hash), deep=self._deep)
        chain._epoch, chain._time_ms = header.epoch, header.time_ms
        return chain

    def take(self, stored: Stored) -> Commit:
        """The next commit, verified. Raises `Disproved`."""
        if stored.stream_seq != self.position.stream_seq + 1:
            self.missing(stored.stream_seq - 1)
        if stored.subject != self._subject:
            self._fail(f"carries the subject {stored.subject!r}, not {self._subject!r}")
        try:
            commit = verify(self.position, stored.stream_seq, stored.subject, stored.data, stored.hash)
        except ChainBroken as error:
            self._fail(error.detail)
        self._in_order(commit)
        if self._deep:
            self._decoded(commit)
        self.position = commit.position
        self.commits += 1
        self.events += commit.header.count
        return commit

    def take_all(self, batch: Iterable[Stored]) -> list[Commit]:
        """As `take`, for many."""
        return [self.take(stored) for stored in batch]

    def missing(self, until: int) -> NoReturn:
        """Raise `Disproved`: what should follow up to a stream position is not there."""
        first = self.position.stream_seq + 1
        if until < first:
            self._fail(f"stream position {until + 1} comes again, or out of order")
        what = f"commit {first} is" if until == first else f"commits {first} to {until} are"
        self._fail(f"{what} missing")

    def _in_order(self, commit: Commit) -> None:
        header = commit.header
        if header.count < 1 or not commit.data.endswith(b"\n"):
            self._fail("holds no whole event")
        if header.epoch < self._epoch:
            self._fail(f"was written in epoch {header.epoch}, after epoch {self._epoch}")
        if header.time_ms < self._time_ms:
            self._fail(f"says {header.time_ms} ms, earlier than the {self._time_ms} ms before it")
        self._epoch, self._time_ms = header.epoch, header.time_ms

    def _decoded(self, commit: Commit) -> None:
        try:
            records = commit.records
        except codec.MalformedCommit as error:
            self._fail(str(error))
        for expected, record in enumerate(records, commit.header.first_seq):
            if record.seq != expected or record.epoch != commit.header.epoch:
                detail = f"event {expected} says it is event {record.seq} of epoch {record.epoch}"
                self._fail(f"{detail}, in a commit of epoch {commit.header.epoch}")

    def _fail(self, detail: str) -> NoReturn:
        finding = Finding(
            where=self.where, detail=detail, stream_seq=self.position.stream_seq + 1, seq=self.position.seq + 1
        )
        raise Disproved(finding)


def verified(chain: Chain, batches: Iterable[list[Stored]]) -> Iterator[list[Commit]]:
    """Batches of a copy, verified one after the other. Raises `Disproved`."""
    for batch in batches:
        yield chain.take_all(batch)
