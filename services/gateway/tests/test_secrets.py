"""A gateway without real secrets does not serve: an empty pepper would hash every key as anybody can."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from mpd.ports import free_port


@pytest.mark.parametrize("name", ["pepper", "token_key", "webhook_key"])
@pytest.mark.parametrize("held", ["", "short", None])
def test_a_secret_that_is_none_ends_the_gateway_by_its_name(tmp_path: Path, name: str, held: str | None) -> None:
    for each in ("pepper", "token_key", "webhook_key"):
        (tmp_path / each).write_text("x" * 64)
    if held is None:
        (tmp_path / name).unlink()
    else:
        (tmp_path / name).write_text(held)
    environment = os.environ | {
        "MP_SECRETS_DIR": str(tmp_path),
        "MP_POSTGRES_DSN": f"postgresql://mp_gateway@127.0.0.1:{free_port()}/moduprompt",
        "MP_NATS_URL": f"nats://127.0.0.1:{free_port()}",
        "MP_OPS_PORT": str(free_port()),
    }
    command = [sys.executable, "-m", "mpgateway"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 2, done.stdout + done.stderr
    assert f"the secret {tmp_path / name} " in done.stdout + done.stderr
    assert "Traceback" not in done.stdout + done.stderr
