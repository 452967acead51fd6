"""Server-sent events are read as the standard says, however the text is cut."""

from __future__ import annotations

import pytest
from mpclient.frames import Frames, ServerSentEvent

TOLD = [
    ServerSentEvent("told", "one\ntwo", "1:7"),
    ServerSentEvent("", "three", "1:8"),
    ServerSentEvent("bye", "", "1:8"),
]
LINES = (
    ": a comment", "event: told", "id: 1:7", "data: one", "data:two", "retry: 5", "unknown: x", "",
    "data: three", "id: 1:8", "id: 2\0", "",
    "event: bye", "",
    "data: cut off",
)  # fmt: skip


def _read(*pieces: str) -> list[ServerSentEvent]:
    frames = Frames()
    return [frame for piece in pieces for frame in frames.take(piece)] + [*frames.end()]


@pytest.mark.parametrize("end", ["\n", "\r", "\r\n"], ids=repr)
@pytest.mark.parametrize("size", [1, 2, 3, 7, 1_000])
def test_frames_are_the_same_however_the_text_is_cut(end: str, size: int) -> None:
    text = end.join(LINES)
    assert _read(*(text[start : start + size] for start in range(0, len(text), size))) == TOLD


def test_a_frame_comes_with_its_last_line_and_waits_for_nothing() -> None:
    frames = Frames()
    assert [*frames.take("data: 1\n")] == []
    assert [*frames.take("\n")] == [ServerSentEvent("", "1", "")]


def test_other_ends_of_lines_are_text() -> None:
    assert _read("data: a\u2028b\x0bc\x85d\n\n") == [ServerSentEvent("", "a\u2028b\x0bc\x85d", "")]


def test_a_last_line_of_cr_alone_completes_the_frame() -> None:
    assert _read("data: 1\r\r") == [ServerSentEvent("", "1", "")]


def test_only_the_first_space_of_a_value_is_not_its_own() -> None:
    assert _read("data:  two\ndata\n\n") == [ServerSentEvent("", " two\n", "")]


def test_empty_lines_and_comments_make_no_frame() -> None:
    assert _read("\n\n: nothing\n\n") == []
