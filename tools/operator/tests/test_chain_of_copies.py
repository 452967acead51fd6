"""A chain finds the first thing that is wrong in a copy of the log, and names its place; segments keep it sealed."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path

import pytest
from mpbus.reader import GENESIS, Commit
from mpoperator.copies.chain import Chain, verified
from mpoperator.copies.checkpoints import PublicKeys
from mpoperator.copies.segments import CONTENT, MANIFEST, Writer, read_commits, read_manifest
from mpoperator.errors import Disproved, ToolRefused
from mpschema import codec
from mpstore.log import Stored
from msgspec.structs import replace

from services.projector.tests.log_story import LogStory
from tools.operator.tests.proving import flip


@pytest.fixture(scope="module")
def told() -> Sequence[Commit]:
    """A good log of a few commits."""
    return list(LogStory(3, workspaces=1).commits(60, per_commit=6))


@pytest.fixture
def copy(told: Sequence[Commit]) -> list[Stored]:
    """A copy of it, which a test may spoil."""
    return [Stored(commit.stream_seq, commit.subject, commit.hash, commit.data) for commit in told]


def _chain(told: Sequence[Commit], *, deep: bool = False) -> Chain:
    return Chain("segment", told[0].subject, deep=deep)


def _resealed(stored: Stored, **changes: object) -> Stored:
    """The same commit with another header, and a hash that fits it."""
    header, body = codec.split_commit(stored.data)
    data = codec.encode(replace(header, **changes)) + b"\n" + body
    return Stored(
        stored.stream_seq, stored.subject, codec.commit_hash(header.previous_hash, stored.subject, data), data
    )


def test_a_good_copy_is_taken_whole(told: Sequence[Commit], copy: list[Stored]) -> None:
    chain = _chain(told, deep=True)
    assert [commit.data for commit in chain.take_all(copy)] == [commit.data for commit in told]
    assert (chain.position, chain.commits, chain.events) == (told[-1].position, len(told), told[-1].position.seq)
    assert chain.epoch == told[-1].header.epoch


def test_a_chain_may_begin_anywhere_it_believes(told: Sequence[Commit], copy: list[Stored]) -> None:
    chain = _chain(told).beyond(copy[3])
    chain.take_all(copy[4:])
    assert (chain.position, chain.commits) == (told[-1].position, len(told) - 4)


def test_batches_are_verified_as_they_come(told: Sequence[Commit], copy: list[Stored]) -> None:
    sizes = [len(batch) for batch in verified(_chain(told), [copy[:2], copy[2:3], copy[3:]])]
    assert sizes == [2, 1, len(copy) - 3]


@pytest.mark.parametrize("at", [0, 4])
def test_a_changed_byte_is_found_where_it_stands(told: Sequence[Commit], copy: list[Stored], at: int) -> None:
    data = copy[at].data
    copy[at] = Stored(copy[at].stream_seq, copy[at].subject, copy[at].hash, data[:-9] + b"#" + data[-8:])
    with pytest.raises(Disproved, match="the hash of the stored bytes is not the stated one") as caught:
        _chain(told).take_all(copy)
    assert caught.value.finding.stream_seq == at + 1
    assert caught.value.finding.seq == told[at].header.first_seq


def test_a_commit_that_is_missing_is_named_with_its_neighbours(told: Sequence[Commit], copy: list[Stored]) -> None:
    del copy[2]
    with pytest.raises(Disproved, match="commit 3 is missing"):
        _chain(told).take_all(copy)
    del copy[2]
    with pytest.raises(Disproved, match="commits 3 to 4 are missing"):
        _chain(told).take_all(copy)


def test_a_commit_that_comes_twice_is_out_of_order(told: Sequence[Commit], copy: list[Stored]) -> None:
    with pytest.raises(Disproved, match="stream position 2 comes again, or out of order"):
        _chain(told).take_all([*copy[:3], copy[1]])


def test_a_commit_of_another_shard_is_none_of_this_log(told: Sequence[Commit], copy: list[Stored]) -> None:
    foreign = Stored(1, "elsewhere", copy[0].hash, copy[0].data)
    with pytest.raises(Disproved, match="carries the subject 'elsewhere'"):
        _chain(told).take(foreign)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"epoch": 0}, "was written in epoch 0, after epoch"),
        ({"time_ms": 1}, "says 1 ms, earlier than"),
        ({"count": 99}, "events, not 99"),
        ({"first_seq": 99}, "begins with event 99"),
        ({"previous_hash": "0" * 64}, "as the hash before it"),
    ],
)
def test_a_header_that_lies_is_found_though_its_hash_fits(
    told: Sequence[Commit], copy: list[Stored], change: dict[str, object], said: str
) -> None:
    chain = _chain(told)
    chain.take(copy[0])
    with pytest.raises(Disproved, match=said):
        chain.take(_resealed(copy[1], **change))


def test_only_a_deep_look_finds_an_event_that_is_none(told: Sequence[Commit], copy: list[Stored]) -> None:
    header, body = codec.split_commit(copy[0].data)
    lines = body.split(b"\n")
    lines[0] = b'{"nothing":"of ours"}'
    data = codec.encode(header) + b"\n" + b"\n".join(lines)
    odd = Stored(1, copy[0].subject, codec.commit_hash(header.previous_hash, copy[0].subject, data), data)
    assert _chain(told).take(odd).hash == odd.hash
    with pytest.raises(Disproved):
        _chain(told, deep=True).take(odd)


@pytest.fixture
def segment(told: Sequence[Commit], tmp_path: Path) -> Path:
    """A sealed segment of the whole log."""
    folder = tmp_path / "segment"
    with Writer(folder, "0", GENESIS) as writer:
        for commit in told:
            writer.add(commit)
        writer.seal([], PublicKeys())
    return folder


def _read(folder: Path) -> list[bytes]:
    return [commit.data for batch in read_commits(folder, read_manifest(folder)) for commit in batch]


def test_a_segment_gives_back_the_bytes_and_is_the_same_whenever_it_is_made(
    told: Sequence[Commit], segment: Path, tmp_path: Path
) -> None:
    assert _read(segment) == [commit.data for commit in told]
    with Writer(tmp_path / "again", "0", GENESIS) as writer:
        for commit in told:
            writer.add(commit)
        writer.seal([], PublicKeys())
    made = [{path.name: path.read_bytes() for path in folder.iterdir()} for folder in (segment, tmp_path / "again")]
    assert made[0] == made[1]


def test_a_segment_is_its_owners_alone(segment: Path) -> None:
    modes = {path.name: path.stat().st_mode & 0o777 for path in (segment, *segment.iterdir())}
    assert modes.pop("segment") == 0o700
    assert set(modes.values()) == {0o600}


def test_a_folder_that_holds_something_becomes_no_segment(tmp_path: Path) -> None:
    (tmp_path / "mine").write_text("x")
    with pytest.raises(ToolRefused, match="is not empty"), Writer(tmp_path, "0", GENESIS):
        pass
    assert [path.name for path in tmp_path.iterdir()] == ["mine"]


def test_nothing_is_no_segment(tmp_path: Path) -> None:
    with Writer(tmp_path / "new", "0", GENESIS) as writer, pytest.raises(ToolRefused, match="nothing to export"):
        writer.seal([], PublicKeys())
    with pytest.raises(ToolRefused, match="is no segment"):
        read_manifest(tmp_path / "new")


def test_a_damaged_content_is_blamed_on_the_commit_that_it_hides(segment: Path) -> None:
    content = segment / CONTENT
    flip(content, content.stat().st_size // 2)
    with pytest.raises(Disproved) as caught:
        _read(segment)
    assert caught.value.finding.where == "segment"
    assert caught.value.finding.stream_seq is not None


def test_a_content_that_ends_early_lacks_commits(told: Sequence[Commit], segment: Path, tmp_path: Path) -> None:
    shorter = tmp_path / "shorter"
    with Writer(shorter, "0", GENESIS) as writer:
        for commit in told[:-2]:
            writer.add(commit)
        writer.seal([], PublicKeys())
    shutil.copy(shorter / CONTENT, segment / CONTENT)
    with pytest.raises(Disproved, match="are missing"):
        _read(segment)


@pytest.mark.parametrize(
    ("manifest", "error", "said"),
    [
        (b"{", Disproved, "its manifest cannot be read"),
        (b'{"format":"x","unknown":1}', Disproved, "its manifest cannot be read"),
        (None, ToolRefused, "is no segment"),
    ],
)
def test_a_manifest_that_is_none_is_said(
    segment: Path, manifest: bytes | None, error: type[Exception], said: str
) -> None:
    (segment / MANIFEST).unlink()
    if manifest is not None:
        (segment / MANIFEST).write_bytes(manifest)
    with pytest.raises(error, match=said):
        _read(segment)


def test_a_manifest_of_another_format_is_not_taken(segment: Path) -> None:
    written = (segment / MANIFEST).read_bytes()
    (segment / MANIFEST).write_bytes(written.replace(b"/v1", b"/v9", 1))
    with pytest.raises(ToolRefused, match="which this build does not know"):
        read_manifest(segment)
