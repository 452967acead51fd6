"""Services of an earlier release, made of this one: what came with a later feature level is unknown to them."""

from __future__ import annotations

import sys

from mpd.services import ServiceProcess
from mpservice.services import BY_NAME

_AS_OF_LEVEL = """
import runpy, sys
from mpschema import codec, levels, registry, rejections
levels.FEATURE_LEVEL = int(sys.argv[1])
for table in (registry.COMMANDS, registry.LOG_COMMANDS, registry.ALL_COMMANDS, registry.EVENTS):
    for name in [name for name, spec in table.items() if spec.since_level > levels.FEATURE_LEVEL]:
        del table[name]
split_commit, decode_records = codec.split_commit, codec.decode_records
def split(data):
    header, body = split_commit(data)
    if levels.FEATURE_LEVEL < 3 and header.command_line:
        raise codec.MalformedCommit("commit header: Object contains unknown field `command_line`")
    return header, body
def decode(body):
    records = decode_records(body)
    for record in records:
        since, _ = rejections.SINCE_LEVEL.get(getattr(record.data, "code", None), (1, None))
        if since > levels.FEATURE_LEVEL:
            raise codec.MalformedCommit(f"an event does not fit its schema: Invalid enum value {record.data.code}")
    return records
codec.split_commit, codec.decode_records = split, decode
del sys.argv[:2]
runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)
"""


def of_level(service: ServiceProcess, level: int) -> ServiceProcess:
    """From its next start on, the service is of the release that had this feature level."""
    service.command = [sys.executable, "-c", _AS_OF_LEVEL, str(level), BY_NAME[service.kind].package]
    return service


def of_this_release(service: ServiceProcess) -> ServiceProcess:
    """From its next start on, the service is the one of this build again."""
    service.command = [sys.executable, "-m", BY_NAME[service.kind].package]
    return service
