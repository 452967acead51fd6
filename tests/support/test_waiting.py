"""`eventually` waits, is bounded, and says what went wrong last."""

import asyncio
from collections.abc import Iterator

import pytest

from tests.support import eventually, eventually_sync


def _answers(*answers: object) -> Iterator[object]:
    yield from answers


async def test_it_returns_the_first_answer_that_is_not_false() -> None:
    answers = _answers(False, False, "yes")
    assert await eventually(lambda: next(answers)) == "yes"


async def test_it_awaits_async_checks_and_retries_errors() -> None:
    attempts = iter([ValueError("too early"), None])

    async def check() -> str:
        if error := next(attempts):
            raise error
        return "yes"

    assert await eventually(check) == "yes"


async def test_it_fails_with_the_last_error() -> None:
    def check() -> None:
        raise ValueError("still wrong")

    with pytest.raises(AssertionError, match=r"within 0\.1 s: ValueError: still wrong"):
        await eventually(check, timeout=0.1)


async def test_a_check_that_hangs_is_cut_off() -> None:
    with pytest.raises(AssertionError, match="TimeoutError"):
        await eventually(asyncio.Event().wait, timeout=0.1)


async def test_what_was_found_counts_more_than_that_the_last_attempt_was_cut_off() -> None:
    attempts = iter([ValueError("wrong")])

    async def check() -> None:
        for error in attempts:
            raise error
        await asyncio.Event().wait()

    with pytest.raises(AssertionError, match="ValueError: wrong"):
        await eventually(check, timeout=0.1)


def test_the_form_without_a_loop_does_the_same() -> None:
    answers = _answers(False, "yes")
    assert eventually_sync(lambda: next(answers)) == "yes"
    with pytest.raises(AssertionError, match="it was False"):
        eventually_sync(lambda: False, timeout=0.05)
