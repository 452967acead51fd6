"""What is advised where a server does not answer works, be mpd running or not."""

from __future__ import annotations

import json
import os
from pathlib import Path

import httpx
from mpoperator.cluster import Cluster
from mpoperator.settings import OperatorSettings


def test_a_running_mpd_is_stopped_first_for_it_refuses_a_second_start(tmp_path: Path) -> None:
    found = Cluster(OperatorSettings(nats_url="nats://nobody", data_dir=tmp_path), httpx.AsyncClient())
    assert found.start_command == f"mpd start --detach --data {tmp_path}"
    (tmp_path / "state.json").write_text(json.dumps({"pid": os.getpid()}))
    assert found.start_command == f"mpd stop --data {tmp_path} && mpd start --detach --data {tmp_path}"
