"""The hash chain, against a second implementation that shares no code with the first."""

import hashlib

from hypothesis import given
from hypothesis import strategies as st
from mpschema import codec, golden
from mpschema.envelope import CommitHeader
from mpschema.registry import EVENTS

SUBJECT = "mp.v1.log.0"
RECORDS = [codec.decode_record(golden.event_bytes(spec)) for spec in EVENTS.values()]


def second_opinion(previous: str, subject: str, data: bytes) -> str:
    """As documented: SHA-256 of the tag line, the previous hash, the subject, a line each, then the stored bytes."""
    text = "\n".join(["moduprompt/commit/v1", previous, subject, ""]).encode("ascii")
    return hashlib.new("sha256", text + data).hexdigest()


def chain(commits: list[bytes]) -> list[str]:
    hashes, previous = [], codec.GENESIS_HASH
    for data in commits:
        previous = codec.commit_hash(previous, SUBJECT, data)
        hashes.append(previous)
    return hashes


def commit(index: int) -> bytes:
    header = CommitHeader(
        epoch=1,
        first_seq=index,
        count=2,
        time_ms=1_767_225_600_000 + index,
        previous_hash="a" * 64,
        command_position=index,
        commands=1,
    )
    return codec.encode_commit(header, RECORDS[index : index + 2])


def test_the_first_link_is_known() -> None:
    assert codec.commit_hash(codec.GENESIS_HASH, SUBJECT, b"x") == (
        "ca83ebc98101e7440cb7888ff7216d61f8da35ae6e4dc63624bece395a8c9053"
    )


@given(st.text("0123456789abcdef", min_size=64, max_size=64), st.binary(max_size=500))
def test_both_implementations_agree(previous: str, data: bytes) -> None:
    assert codec.commit_hash(previous, SUBJECT, data) == second_opinion(previous, SUBJECT, data)


def test_both_agree_along_a_chain_of_real_commits() -> None:
    commits = [commit(index) for index in range(20)]
    previous = codec.GENESIS_HASH
    for data, stated in zip(commits, chain(commits), strict=True):
        previous = second_opinion(previous, SUBJECT, data)
        assert previous == stated


@given(st.data())
def test_a_flipped_bit_changes_every_hash_from_there_on(data: st.DataObject) -> None:
    commits = [commit(index) for index in range(5)]
    place = data.draw(st.integers(0, 4))
    damaged = bytearray(commits[place])
    damaged[data.draw(st.integers(0, len(damaged) - 1))] ^= 1 << data.draw(st.integers(0, 7))
    before, after = chain(commits), chain([*commits[:place], bytes(damaged), *commits[place + 1 :]])
    assert before[:place] == after[:place]
    assert all(left != right for left, right in zip(before[place:], after[place:], strict=True))


def test_the_subject_is_part_of_the_link() -> None:
    hashes = {codec.commit_hash(codec.GENESIS_HASH, subject, b"x") for subject in ("mp.v1.log.0", "mp.v1.log.1")}
    assert len(hashes) == 2


def test_a_commit_is_its_header_line_and_a_line_an_event() -> None:
    data = commit(3)
    header, body = codec.split_commit(data)
    assert (header.first_seq, header.count, header.previous_hash) == (3, 2, "a" * 64)
    assert codec.decode_records(body) == RECORDS[3:5]
    assert data.count(b"\n") == 3
