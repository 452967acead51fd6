"""The media type of a body, and JSON in which every key stands once.

The decoder takes the last of two equal keys, another reader the first: a request that means two things is refused.
"""

import json
from contextlib import suppress
from typing import Any

import msgspec
from mpschema.problems import EdgeCode
from mpschema.rejections import Code

from mpgateway.http import HttpRequest
from mpgateway.problems import RequestRefused

_ENCODED = "bodies are not compressed here: send no Content-Encoding, or identity"
_CHARSETS = {b"utf-8", b"utf8"}


def check_media_type(request: HttpRequest, allowed: frozenset[bytes], told: str) -> None:
    """Refuse a body of another type, charset or coding than we read. Raises `RequestRefused`."""
    if request.headers.get(b"content-encoding", b"identity").strip().lower() != b"identity":
        raise RequestRefused(EdgeCode.UNSUPPORTED_MEDIA_TYPE, _ENCODED)
    stated = request.headers.get(b"content-type", b"")
    if stated in allowed:
        return
    media_type, *parameters = (part.strip().lower() for part in stated.split(b";"))
    if media_type not in allowed:
        raise RequestRefused(EdgeCode.UNSUPPORTED_MEDIA_TYPE, told)
    for parameter in parameters:
        name, _, value = parameter.partition(b"=")
        if name.strip() == b"charset" and value.strip().strip(b'"') not in _CHARSETS:
            raise RequestRefused(EdgeCode.UNSUPPORTED_MEDIA_TYPE, "JSON is UTF-8: send no charset, or utf-8")


def check_keys(raw: bytes | msgspec.Raw, encoded: bytes) -> None:
    """Refuse JSON in which an object has a key twice. Raises `RequestRefused`.

    `encoded` is what it was decoded to, encoded again without defaults. Every key brings a colon, so with as many as
    before no key was lost on the way. Only where that is not so, or where a colon may be written as an escape, is it
    read again, by a slower parser that tells all keys. What that cannot read, the decoder of its type refuses.
    """
    text = bytes(raw)
    if text == encoded:
        return
    if encoded.count(b":") == text.count(b":") and b"\\u" not in text:
        return
    with suppress(ValueError, RecursionError):
        json.loads(text, object_pairs_hook=_object, parse_int=float, strict=False)


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        keys = [key for key, _ in pairs]
        twice = next(key for key in keys if keys.count(key) > 1)
        raise RequestRefused(Code.SCHEMA_INVALID, f"the key {twice[:200]!r} stands twice in one object")
    return found
