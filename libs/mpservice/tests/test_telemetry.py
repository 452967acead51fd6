"""Logging shows what happens, and never decides it."""

import errno
import io
from pathlib import Path

from mpservice.telemetry import log_factory


class FullDisk(io.StringIO):
    """A file on a disk without room."""

    def write(self, text: str) -> int:
        raise OSError(errno.ENOSPC, f"no room for {len(text)} characters")

    def flush(self) -> None:
        raise OSError(errno.ENOSPC, "no room")


def test_a_log_on_a_full_disk_ends_nobody() -> None:
    log_factory(FullDisk())().info("nobody reads this")


def test_a_log_line_is_written_at_once(tmp_path: Path) -> None:
    with (tmp_path / "log").open("w") as file:
        log_factory(file)().info("read me")
        assert (tmp_path / "log").read_text() == "read me\n"
