"""A short storm for every run of the tests; `make chaos` is the long one."""

from pathlib import Path

from tests.chaos.__main__ import storm


async def test_a_short_storm_breaks_no_promise(tmp_path: Path) -> None:
    await storm(tmp_path, faults=12, seed=20)
