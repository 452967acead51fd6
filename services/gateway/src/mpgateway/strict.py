"""What a body says it is, and JSON in which every key stands once.

The decoder takes the last of two equal keys, another reader the first: a request that means two things is refused.
"""

import json
from typing import Any

import msgspec
from mpschema.problems import EdgeCode
from mpschema.rejections import Code

from mpgateway.http import HttpRequest
from mpgateway.problems import Refused

_ENCODED = "bodies are not compressed here: send no Content-Encoding, or identity"
_CHARSETS = {b"utf-8", b"utf8"}
_encode = msgspec.json.Encoder().encode


def check_media_type(request: HttpRequest, allowed: frozenset[bytes], told: str) -> None:
    """Refuse a body of another type, charset or coding than we read. Raises `Refused`."""
    if request.headers.get(b"content-encoding", b"identity").strip().lower() != b"identity":
        raise Refused(EdgeCode.UNSUPPORTED_MEDIA_TYPE, _ENCODED)
    stated = request.headers.get(b"content-type", b"")
    if stated in allowed:
        return
    media_type, *parameters = (part.strip().lower() for part in stated.split(b";"))
    if media_type not in allowed:
        raise Refused(EdgeCode.UNSUPPORTED_MEDIA_TYPE, told)
    for parameter in parameters:
        name, _, value = parameter.partition(b"=")
        if name.strip() == b"charset" and value.strip().strip(b'"') not in _CHARSETS:
            raise Refused(EdgeCode.UNSUPPORTED_MEDIA_TYPE, "JSON is UTF-8: send no charset, or utf-8")


def check_keys(raw: bytes | msgspec.Raw) -> None:
    """Refuse JSON in which an object has a key twice. Raises `Refused`; what is no JSON is left to who decodes it.

    Every key brings a colon, so what decodes and encodes to as many colons as it had lost no key on the way. Only where
    that is not so, or where a colon may be written as an escape, is it read again, by a slower parser that tells all.
    """
    raw = bytes(raw)
    try:
        if b"\\u" not in raw and _encode(msgspec.json.decode(raw)).count(b":") == raw.count(b":"):
            return
        json.loads(raw, object_pairs_hook=_object, parse_int=float)
    except (ValueError, RecursionError):  # `msgspec.DecodeError` is a `ValueError`.
        return


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        keys = [key for key, _ in pairs]
        twice = next(key for key in keys if keys.count(key) > 1)
        raise Refused(Code.SCHEMA_INVALID, f"the key {twice[:200]!r} stands twice in one object")
    return found
