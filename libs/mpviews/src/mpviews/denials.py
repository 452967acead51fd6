"""Who was denied what it asked for, by the log: found without reading the events."""

import re
from collections.abc import Iterator
from typing import NamedTuple

from mpschema.registry import RECORDS
from mpschema.rejections import Code
from mpschema.system import CommandRejected

# Records are written in one form: the type first, `actor` before `data`. A text has its quotes escaped.
_DENIED = re.compile(
    rb'^\{"type":"%b","seq":([0-9]+),"id":"[^"]+","workspace_id":"([^"]+)".*?"actor":"([^"]+)".*?"data":\{"code":"%b"'
    % (re.escape(RECORDS[CommandRejected].event_type).encode(), Code.DENIED.value.encode()),
    re.MULTILINE,
)


class Denial(NamedTuple):
    """A command that was denied: where that is recorded, in which workspace it was, and whose it was."""

    seq: int
    workspace_id: str
    principal: str


def denials(body: bytes) -> Iterator[Denial]:
    """The commands that a commit's events say were denied."""
    return (Denial(int(found[1]), found[2].decode(), found[3].decode()) for found in _DENIED.finditer(body))
