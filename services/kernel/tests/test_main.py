"""The composition: with `MP_LEASE=jetstream` there is no Redis at all."""

from pathlib import Path

import pytest
from mpkernel.adapters.clock import SystemClock
from mpkernel.main import compose
from mpkernel.settings import KernelSettings
from nats.aio.client import Client


def test_without_redis_nothing_of_it_is_read(tmp_path: Path) -> None:
    missing = tmp_path / "missing"
    compose(KernelSettings(lease="jetstream", redis_password_file=missing), Client(), SystemClock())
    with pytest.raises(FileNotFoundError):
        compose(KernelSettings(lease="redis", redis_password_file=missing), Client(), SystemClock())
