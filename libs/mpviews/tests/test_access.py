"""The access slice: bindings, keys and their expiry; the same wherever the fold begins."""

import hashlib
from pathlib import Path

import msgspec
import pytest
from mpschema import principal, session
from mpschema.base import Event
from mpschema.envelope import EventRecord
from mpschema.positions import LogPosition
from mpschema.principal import Role
from mpschema.registry import record_of
from mpschema.sweep import SweepBegun, SweepEnded, SweepKind
from mpschema.system import LeaderElected
from mpviews import access as access_module
from mpviews.access import AccessSlice, HeldKey, HeldSession, chunks, concerning, open_part, part

from tests.contract.past_logs import commits_of, past_logs

HERE = LogPosition(7, 42, "a" * 64)
HASH, OTHER = "ab" * 32, "cd" * 32
BLUEPRINT = session.BlueprintRef(name="worker", version="1", digest="b" * 64)


def told(*facts: tuple[str, str, Event]) -> AccessSlice:
    """A slice after these facts: workspace, aggregate's id, event. Event n happens at n seconds."""
    access = AccessSlice()
    access.fold_all(_record(seq, *fact) for seq, fact in enumerate(facts, 1))
    return access


def _record(seq: int, workspace_id: str, aggregate_id: str, event: Event) -> EventRecord:
    return record_of(
        event,
        seq=seq,
        id=f"c{seq}:0",
        workspace_id=workspace_id,
        aggregate_id=aggregate_id,
        version=1,
        time_ms=seq * 1_000,
        epoch=1,
        actor="user:ada",
    )


def issued(key_id: str, key_hash: str) -> principal.KeyIssued:
    return principal.KeyIssued(key_id, key_hash)


def spawned() -> session.SessionSpawned:
    return session.SessionSpawned(BLUEPRINT, "s1", 0, (), session.SessionLimits())


def test_a_role_opens_its_workspace_until_it_is_taken() -> None:
    both = (
        ("acme", "user:bob", principal.RoleBound(Role.VIEWER)),
        ("acme", "user:bob", principal.RoleBound(Role.OWNER)),
    )
    less = ("acme", "user:bob", principal.RoleUnbound(Role.OWNER))
    assert told(*both).roles_of("acme", "user:bob") == ("owner", "viewer")
    assert told(*both).roles_of("beta", "user:bob") == ()
    assert told(*both, less).roles_of("acme", "user:bob") == ("viewer",)
    gone = told(*both, less, ("acme", "user:bob", principal.RoleUnbound(Role.VIEWER)))
    assert (gone.roles_of("acme", "user:bob"), gone.roles) == ((), {})


def test_a_key_is_found_by_its_hash_whatever_others_call_theirs() -> None:
    others = [(f"evil{n}", "user:mallory", issued("ci", f"{n:064x}")) for n in range(20)]
    access = told(*others, ("acme", "user:ci", issued("ci", HASH)))
    assert access.keys[bytes.fromhex(HASH)] == HeldKey("acme", "user:ci", "ci")


def test_a_hash_that_is_registered_again_stays_whose_it_was() -> None:
    first, again = ("acme", "user:ci", issued("ci", HASH)), ("evil", "user:mallory", issued("mine", HASH))
    access = told(first, again, ("evil", "user:mallory", principal.KeyRevoked("mine")))
    assert access.keys[bytes.fromhex(HASH)] == HeldKey("acme", "user:ci", "ci")
    revoked = told(first, ("acme", "user:ci", principal.KeyRevoked("ci")), again)
    assert revoked.keys[bytes.fromhex(HASH)] == HeldKey("acme", "user:ci", "ci", revoked=True)


@pytest.mark.parametrize(
    "end",
    [session.SessionCompleted(), session.SessionFailed("x"), session.SessionCanceled("s1")],
    ids=lambda e: type(e).__name__,
)
def test_a_token_is_good_while_its_session_lives(end: Event) -> None:
    lives = (("acme", "s1", spawned()), ("acme", "s1", session.SessionTokenIssued("t1", 900_000)))
    assert told(*lives).has_token("acme", "s1", "t1")
    assert not told(*lives).has_token("acme", "s1", "t2")
    assert not told(*lives).has_token("beta", "s1", "t1")
    ended = told(*lives, ("acme", "s1", end))
    assert (ended.has_token("acme", "s1", "t1"), ended.sessions) == (False, {})


@pytest.mark.parametrize(
    ("kind", "scope"),
    [(SweepKind.DESCENDANTS, "s0"), (SweepKind.PROJECT, "core"), (SweepKind.WORKSPACE, "acme")],
)
def test_what_is_above_a_session_ends_its_token_before_its_own_event_comes(kind: SweepKind, scope: str) -> None:
    below = session.SessionSpawned(BLUEPRINT, "s0", 1, ("s0",), session.SessionLimits(), "s0", "core")
    lives = (("acme", "s1", below), ("acme", "s1", session.SessionTokenIssued("t1", 900_000)))
    other = ("acme", "s2", spawned())
    begun = ("acme", "sweep-1", SweepBegun(kind, scope, 900_000))
    access = told(*lives, other, begun)
    assert not access.has_token("acme", "s1", "t1")
    assert access.lives("acme", "s2") is (kind is not SweepKind.WORKSPACE)
    again = open_part(part(b"".join(chunks(access.pieces())), HERE))
    assert again is not None
    assert not again[0].lives("acme", "s1")
    ended = told(*lives, begun, ("acme", "s1", session.SessionCanceled(scope)), ("acme", "sweep-1", SweepEnded(1)))
    assert not ended.sweeps


def test_tokens_are_taken_back_together_and_new_ones_are_good() -> None:
    lives = (("acme", "s1", spawned()), ("acme", "s1", session.SessionTokenIssued("t1", 900_000)))
    access = told(
        *lives,
        ("acme", "s1", session.SessionTokensRevoked("leaked")),
        ("acme", "s1", session.SessionTokenIssued("t2", 900_000)),
    )
    assert [access.has_token("acme", "s1", name) for name in ("t1", "t2")] == [False, True]
    assert access.lives("acme", "s1")


def test_tokens_that_have_expired_are_forgotten() -> None:
    short = ("acme", "s1", session.SessionTokenIssued("t1", 2_500))
    access = told(("acme", "s1", spawned()), short, ("acme", "s1", session.SessionTokenIssued("t2", 900_000)))
    assert access.sessions == {"acme s1": HeldSession(tokens=(("t2", 900_000),))}


@pytest.mark.parametrize("damage", [b"", b"{}", b"x" * 100])
def test_a_damaged_part_is_none(damage: bytes) -> None:
    whole = part(b"".join(chunks(told(("acme", "user:ci", issued("ci", HASH))).pieces())), HERE)
    assert open_part(whole) is not None
    assert open_part(whole[: len(whole) // 2]) is None
    assert open_part(whole + damage) is None or not damage
    assert open_part(damage) is None


def test_a_part_that_other_code_made_is_none() -> None:
    whole = part(b"", HERE)
    line, _, body = whole.partition(b"\n")
    header = msgspec.json.decode(line)
    assert header["code"] == hashlib.sha256(Path(access_module.__file__).read_bytes()).hexdigest()
    header["code"] = hashlib.sha256(b"the module of another release").hexdigest()
    assert open_part(msgspec.json.encode(header) + b"\n" + body) is None


@pytest.mark.parametrize("folder", past_logs(), ids=lambda folder: folder.name)
def test_every_past_log_says_the_same_from_any_place_and_by_any_way(folder: Path) -> None:
    commits = commits_of(folder)
    fresh = AccessSlice()
    for commit in commits:
        fresh.fold_all(commit.records)
    assert fresh.operators == {"user:root"}
    for split in range(len(commits)):
        begun = AccessSlice()
        for commit in commits[:split]:
            begun.fold_all(commit.records)
        opened = open_part(part(b"".join(chunks(begun.pieces())), LogPosition(split, begun.seq, "")))
        assert opened is not None
        access, position = opened
        assert position.seq == begun.seq
        for commit in commits[max(split - 3, 0) :]:  # Some of it once more: what is known already changes nothing.
            for record in concerning(commit.body):
                access.fold(record)
            access.seq = max(access.seq, commit.position.seq)
        assert {name: getattr(access, name) for name in AccessSlice.__slots__} == {
            name: getattr(fresh, name) for name in AccessSlice.__slots__
        }


def test_the_last_election_says_who_operates() -> None:
    elected = ("system", "log", LeaderElected(leader_epoch=2, node="k2", operators=("user:ops",)))
    assert told(
        ("system", "log", LeaderElected(leader_epoch=1, node="k1", operators=("user:root",))), elected
    ).operators == {"user:ops"}
