"""The denials in the log: found without decoding the events."""

import re
from collections.abc import Iterator
from typing import NamedTuple

from mpschema.registry import RECORDS
from mpschema.rejections import Code
from mpschema.system import CommandRejected

# Records are written in one form: the type first, `actor` before `data`. A text has its quotes escaped.
_REJECTED = b'{"type":"%b","seq":' % RECORDS[CommandRejected].event_type.encode()
_DENIED = re.compile(
    rb'([0-9]+),"id":"[^"]+","workspace_id":"([^"]+)".*?"actor":"([^"]+)".*?"data":\{"code":"%b"'
    % Code.DENIED.value.encode()
).match


class Denial(NamedTuple):
    """A command that was denied: where that is recorded, in which workspace it was, and whose it was."""

    seq: int
    workspace_id: str
    principal: str


def denials(body: bytes) -> Iterator[Denial]:
    """The commands that a commit's events say were denied."""
    rejected = (line for line in body.split(b"\n") if line.startswith(_REJECTED))
    denied = (_DENIED(line, len(_REJECTED)) for line in rejected)
    return (Denial(int(found[1]), found[2].decode(), found[3].decode()) for found in denied if found)
