"""Sealed segments: a stretch of the log in a folder, complete in itself, to be kept, sent and checked anywhere.

`commits.jsonl.gz` holds one commit a line with its exact text, `manifest.json` says what that must be. The same stretch
gives the same bytes of content, whoever exports it. It holds every tenant's log: its owner alone may read it.
"""

from __future__ import annotations

import gzip
import hashlib
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import IO

import msgspec
from mpbus.reader import Commit, LogPosition
from mpstore.log import Stored
from mpstore.snapshots.signatures import raw_public_key

from mpoperator.copies.chain import Chain
from mpoperator.copies.checkpoints import Checkpoint, PublicKeys
from mpoperator.copies.private import create, make_folder
from mpoperator.errors import Disproved, Finding, NotConfigured, ToolRefused

FORMAT = "moduprompt/segment/v1"
CONTENT, MANIFEST = "commits.jsonl.gz", "manifest.json"
DRAFT = f"{MANIFEST}.new"
_BATCH = 256


class CheckpointKey(msgspec.Struct, frozen=True):
    """A public key that signed checkpoints: its id, and its 32 bytes in hex."""

    key_id: str
    ed25519: str


class Manifest(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The manifest of a segment. `content_sha256` and `content_bytes` are of the lines before compression."""

    format: str = FORMAT
    shard: str
    subject: str
    first_stream_seq: int
    last_stream_seq: int
    first_seq: int
    last_seq: int
    commits: int
    events: int
    previous_hash: str
    first_hash: str
    last_hash: str
    content_sha256: str
    content_bytes: int
    checkpoints: tuple[Checkpoint, ...] = ()
    public_keys: tuple[CheckpointKey, ...] = ()

    @property
    def start(self) -> LogPosition:
        """The position before the first commit."""
        return LogPosition(self.first_stream_seq - 1, self.first_seq - 1, self.previous_hash)

    @property
    def end(self) -> LogPosition:
        """The position after the last commit."""
        return LogPosition(self.last_stream_seq, self.last_seq, self.last_hash)


class SegmentLine(msgspec.Struct, frozen=True):
    """One commit in the content."""

    stream_seq: int
    subject: str
    hash: str
    data: str


_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(SegmentLine).decode


class Writer:
    """Writes the content of a segment into a new folder, then seals it with its manifest."""

    def __init__(self, folder: Path, shard: str, start: LogPosition) -> None:
        self._folder = folder
        self._shard = shard
        self._start = start
        self._first: Commit | None = None
        self._last: Commit | None = None
        self._events = 0
        self._bytes = 0
        self._digest = hashlib.sha256()
        self._raw: IO[bytes] | None = None
        self._file: gzip.GzipFile | None = None

    def __enter__(self) -> Writer:
        """Make the folder. Raises `ToolRefused` when it holds something, `NotConfigured` when it cannot be made."""
        make_folder(self._folder)
        try:
            if any(self._folder.iterdir()):
                raise ToolRefused(f"{self._folder} is not empty: a segment gets a folder of its own")
            self._raw = create(self._folder / CONTENT)
        except OSError as error:
            raise NotConfigured(f"{self._folder} cannot be written: {error}") from error
        # Without name and time in the header the same stretch gives the same bytes.
        self._file = gzip.GzipFile("", "wb", compresslevel=6, fileobj=self._raw, mtime=0)
        return self

    def __exit__(self, *_: object) -> None:
        """Close the content."""
        if self._file is not None:
            self._file.close()
        if self._raw is not None:
            self._raw.close()

    def add(self, commit: Commit) -> None:
        """One more commit, verified. Raises `ToolRefused` for bytes that are no text."""
        assert self._file is not None, "the segment is open"
        try:
            text = commit.data.decode()
        except UnicodeDecodeError as error:
            raise ToolRefused(
                f"commit {commit.stream_seq} is no text and cannot stand in a segment: {error}"
            ) from error
        line = _encode(SegmentLine(commit.stream_seq, commit.subject, commit.hash, text)) + b"\n"
        self._digest.update(line)
        self._file.write(line)
        self._bytes += len(line)
        self._events += commit.header.count
        self._first, self._last = self._first or commit, commit

    def seal(self, checkpoints: list[Checkpoint], keys: PublicKeys) -> Manifest:
        """Write the manifest, last of all: a folder without it is no segment."""
        if self._first is None or self._last is None:
            raise ToolRefused("there is nothing to export between these positions")
        self.__exit__()
        manifest = Manifest(
            shard=self._shard,
            subject=self._first.subject,
            first_stream_seq=self._first.stream_seq,
            last_stream_seq=self._last.stream_seq,
            first_seq=self._first.header.first_seq,
            last_seq=self._last.position.seq,
            commits=self._last.stream_seq - self._first.stream_seq + 1,
            events=self._events,
            previous_hash=self._start.hash,
            first_hash=self._first.hash,
            last_hash=self._last.hash,
            content_sha256=self._digest.hexdigest(),
            content_bytes=self._bytes,
            checkpoints=tuple(checkpoints),
            public_keys=tuple(
                CheckpointKey(name, raw_public_key(key).hex()) for name, key in sorted(keys.by_id.items())
            ),
        )
        draft = self._folder / DRAFT
        with create(draft) as file:
            file.write(msgspec.json.format(msgspec.json.encode(manifest)) + b"\n")
        draft.replace(self._folder / MANIFEST)
        return manifest


def read_manifest(folder: Path) -> Manifest:
    """The manifest of a segment. Raises `ToolRefused` where there is none, `Disproved` where it is damaged."""
    try:
        data = (folder / MANIFEST).read_bytes()
    except OSError as error:
        raise ToolRefused(f"{folder} is no segment: it has no readable {MANIFEST}") from error
    try:
        manifest = msgspec.json.decode(data, type=Manifest)
    except msgspec.DecodeError as error:
        raise Disproved(Finding(where="segment", detail=f"its manifest cannot be read: {error}")) from error
    if manifest.format != FORMAT:
        raise ToolRefused(f"{folder} is a {manifest.format}, which this build does not know")
    return manifest


def read_commits(folder: Path, manifest: Manifest) -> Iterator[list[Commit]]:
    """The segment's commits in batches, verified. At the end the content is known to be what the manifest says.

    Raises `Disproved` at the first commit that is wrong.
    """
    chain = Chain("segment", manifest.subject, manifest.start)
    digest, size, batch = hashlib.sha256(), 0, list[Commit]()
    for raw in _lines(folder, chain):
        digest.update(raw)
        size += len(raw)
        batch.append(chain.take(_stored(raw, chain)))
        if len(batch) >= _BATCH:
            yield batch
            batch = []
    if batch:
        yield batch
    found = (chain.position, chain.commits, chain.events, digest.hexdigest(), size)
    said = (manifest.end, manifest.commits, manifest.events, manifest.content_sha256, manifest.content_bytes)
    if found != said:
        if chain.position.stream_seq < manifest.last_stream_seq:
            chain.missing(manifest.last_stream_seq)
        raise Disproved(Finding(where="segment", detail="its content verifies, but is not what its manifest says"))


def _lines(folder: Path, chain: Chain) -> Iterator[bytes]:
    """The lines of the content; damage is blamed on the commit it hides."""
    try:
        with gzip.open(folder / CONTENT, "rb") as file:
            yield from file
    except (OSError, EOFError, zlib.error) as error:
        raise _damaged(chain, f"cannot be unpacked: {error}") from error


def _stored(raw: bytes, chain: Chain) -> Stored:
    try:
        line = _decode(raw)
        return Stored(line.stream_seq, line.subject, line.hash, line.data.encode())
    except (msgspec.DecodeError, UnicodeError) as error:
        raise _damaged(chain, f"cannot be read: {error}") from error


def _damaged(chain: Chain, detail: str) -> Disproved:
    position = chain.position
    return Disproved(Finding(where="segment", detail=detail, stream_seq=position.stream_seq + 1, seq=position.seq + 1))
