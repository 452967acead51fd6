"""Escapes of characters that mislead line readers, terminals or eyes: the value stays the same."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from mpschema import codec
from mpschema.escapes import escaped, shown

LINE_ENDS = "\x85\u2028\u2029"
COMMANDS = "\x7f\x80\x9b\x9d\u061c\u200e\u200f\u202a\u202e\u2066\u2069\ufeff"


@given(st.text() | st.text(alphabet=LINE_ENDS + COMMANDS + "a\u00e9\U0001f600"))
def test_the_value_stays_the_same_and_no_reader_of_lines_sees_more_lines(text: str) -> None:
    line = escaped(codec.encode({"text": text}))
    assert json.loads(line) == {"text": text}
    assert len(line.decode().splitlines()) == 1
    assert not set(line.decode()) & set(LINE_ENDS + COMMANDS)


def test_what_is_mistaken_for_nothing_stays_as_it_is() -> None:
    plain = codec.encode({"text": "caf\u00e9 \U0001f468\u200d\U0001f469 \u0645\u06cc\u200c\u062e \u3000"})
    assert escaped(plain) == plain


@pytest.mark.parametrize(
    ("text", "seen"),
    [
        ("\x1b[2Jgone", "\\x1b[2Jgone"),
        ("a\x9bb", "a\\x9bb"),
        ("\u202ea\u2066", "\\u202ea\\u2066"),
        ("a\u2028b", "a\\u2028b"),
        ("\U000e0041", "\\U000e0041"),
        ("\U0001f468\u200d\U0001f469", "\U0001f468\u200d\U0001f469"),
        ("\u0645\u06cc\u200c\u062e", "\u0645\u06cc\u200c\u062e"),
        ("\u6771\u3000\u4eac\u00a0", "\u6771\u3000\u4eac\u00a0"),
    ],
)
def test_a_person_is_shown_joiners_and_spaces_and_told_of_commands(text: str, seen: str) -> None:
    assert shown(text) == seen
    assert shown(seen) == seen
