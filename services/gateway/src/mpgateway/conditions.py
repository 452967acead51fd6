"""Conditions on a command: If-Match and If-None-Match, as RFC 9110 (13.1) has them, become the expected version.

`If-Match` compares strongly: a weak tag, or one of another make, never matches, and the answer is 412, as it is for
an old version. `*` matches whatever exists. A list may name one version that we can expect.
"""

import re

from mpschema.base import INT_MAX
from mpschema.envelope import ExpectedVersion
from mpschema.problems import EdgeCode
from mpschema.rejections import Code
from mpschema.system import LOG
from mpschema.vocabulary import CommandSpec

from mpgateway.http import HttpRequest
from mpgateway.problems import RequestRefused

_VERSION = re.compile(r'"(0|[1-9][0-9]{0,15})"')
_TAG = r'(?:W/)?"[\x21\x23-\x7e]*"'
# Every piece is possessive: what a sender writes into a header must not be tried in all its readings.
_TAGS = re.compile(rf"[ \t,]*+{_TAG}(?:[ \t]*+,[ \t]*+(?:{_TAG})?+)*+\Z")
_EACH = re.compile(_TAG)


def expected_version(spec: CommandSpec, request: HttpRequest) -> ExpectedVersion:
    """The version that the request's conditions ask for. Raises `RequestRefused`."""
    headers = request.headers
    if b"if-none-match" in headers:
        if not spec.creates or headers[b"if-none-match"].strip() != b"*":
            raise RequestRefused(EdgeCode.MALFORMED, "If-None-Match is * and goes with commands that create")
        return 0
    if b"if-match" not in headers:
        return "any"
    if spec.aggregate == LOG:
        raise RequestRefused(EdgeCode.MALFORMED, "the log has no version: leave If-Match out")
    given = request.header(b"if-match").strip()
    if spec.creates or (given != "*" and not _TAGS.match(given)):
        raise RequestRefused(
            EdgeCode.MALFORMED, 'If-Match is a version in quotes, such as "4", of something that exists'
        )
    return "any" if given == "*" else _version_of(_EACH.findall(given))


def _version_of(tags: list[str]) -> int:
    """The one version that a list of tags names. Raises `RequestRefused` where it names none, or several."""
    versions = {int(found[1]) for tag in tags if (found := _VERSION.fullmatch(tag)) and int(found[1]) <= INT_MAX}
    if len(versions) > 1:
        raise RequestRefused(EdgeCode.MALFORMED, "If-Match names several versions: a command is decided for one")
    if not versions:
        why = "a weak tag never matches in If-Match" if any(tag.startswith("W/") for tag in tags) else "no such version"
        raise RequestRefused(Code.STALE_VERSION, f'{why}: send the ETag as it came, such as "4"')
    return versions.pop()
