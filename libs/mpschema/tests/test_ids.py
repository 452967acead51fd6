"""Identifiers: UUIDv7 as RFC 9562 lays it out, ids that are safe everywhere, ids that derive from their cause."""

import uuid

import pytest
from hypothesis import given
from hypothesis import strategies as st
from mpschema.ids import derived_id, is_id, uuid7

TIMES = st.integers(0, 2**48 - 1)
RANDOM = st.binary(min_size=10, max_size=10)


@given(TIMES, RANDOM)
def test_the_fields_of_a_uuid7_are_where_rfc_9562_says(time_ms: int, random: bytes) -> None:
    made = uuid.UUID(uuid7(time_ms, random))
    bits = made.int
    assert bits >> 80 == time_ms  # unix_ts_ms: the first 48 bits
    assert bits >> 76 & 0xF == 7  # ver
    assert bits >> 62 & 0b11 == 0b10  # var
    assert (made.version, made.variant) == (7, uuid.RFC_4122)


@given(TIMES, RANDOM, st.integers(0, 47) | st.integers(52, 65) | st.integers(68, 79))
def test_74_bits_of_a_uuid7_are_random(time_ms: int, random: bytes, bit: int) -> None:
    other = (int.from_bytes(random, "big") ^ 1 << bit).to_bytes(10, "big")
    assert uuid7(time_ms, random) != uuid7(time_ms, other)


def test_a_uuid7_is_written_in_its_usual_form() -> None:
    # The example of RFC 9562, A.6: time 0x017F22E279B0, rand_a 0xCC3, rand_b 0x18C4 and 0xDC0C0C07398F.
    random = (0xCC3 << 68 | 0x18C4 << 52 | 0xDC0C0C07398F).to_bytes(10, "big")
    assert uuid7(0x017F22E279B0, random) == "017f22e2-79b0-7cc3-98c4-dc0c0c07398f"


@given(TIMES, TIMES, RANDOM, RANDOM)
def test_a_later_uuid7_sorts_later(one: int, other: int, random: bytes, other_random: bytes) -> None:
    if one != other:
        assert (uuid7(one, random) < uuid7(other, other_random)) == (one < other)


@pytest.mark.parametrize("good", ["a", "7", "user:ada", "agent:s-1", "a_b@c", "x" * 128])
def test_an_id_is_letters_digits_and_a_few_signs(good: str) -> None:
    assert is_id(good)


@pytest.mark.parametrize("bad", ["", "-a", ":a", "a b", "a.b", "a/b", "a*", "a>", "a\n", "é", "x" * 129, "a\x00"])
def test_what_could_leave_its_subject_or_path_is_no_id(bad: str) -> None:
    assert not is_id(bad)


def test_a_derived_id_is_an_id_and_always_the_same() -> None:
    made = derived_id("task", "0199f3a2-7c10-7abc-9def-0123456789ab")
    assert made == "task_0199f3a27c107abc9def0123456789ab"
    assert is_id(made)
    assert is_id(derived_id("workspace", "c" * 128))
