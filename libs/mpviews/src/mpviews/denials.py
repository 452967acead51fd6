"""Who was denied what it asked for, by the log: found without reading the events."""

import re
from collections.abc import Iterator

from mpschema.registry import RECORDS
from mpschema.rejections import Code
from mpschema.system import CommandRejected

# Records are written in one form: the type first, `actor` before `data`. A text has its quotes escaped.
_DENIED = re.compile(
    rb'^\{"type":"%b".*?"actor":"([^"]+)".*?"data":\{"code":"%b"'
    % (re.escape(RECORDS[CommandRejected].event_type).encode(), Code.DENIED.value.encode()),
    re.MULTILINE,
)


def denied_actors(body: bytes) -> Iterator[str]:
    """The principal of each command that a commit's events say was denied."""
    return (found[1].decode() for found in _DENIED.finditer(body))
