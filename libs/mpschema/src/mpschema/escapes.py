"""Characters that other people's line readers, terminals and eyes take for something else, spelled out.

JSON allows them in texts as they are. But readers of lines end a line at U+0085, U+2028 and U+2029, as Unicode says and
JSON does not; a terminal takes U+009B for the begin of a command; and marks of direction turn a line around for eyes.
The same texts in `\\uXXXX` are the same JSON.
"""

import re
import unicodedata

from mpschema.names import JOINERS

# In UTF-8: U+0080 to U+009F, U+061C, U+200E and U+200F, U+2028 to U+202E, U+2066 to U+2069, U+FEFF.
_MISTAKEN = re.compile(rb"\xc2[\x80-\x9f]|\xd8\x9c|\xe2\x80[\x8e\x8f\xa8-\xae]|\xe2\x81[\xa6-\xa9]|\xef\xbb\xbf|\x7f")


def escaped(data: bytes) -> bytes:
    """JSON, one value or lines of them, with such characters in their escaped form. The values are the same."""
    if data.isascii() and b"\x7f" not in data:
        return data
    return _MISTAKEN.sub(_escape, data)


def _escape(found: re.Match[bytes]) -> bytes:
    return b"\\u%04x" % ord(found[0].decode())


def shown(text: str) -> str:
    """Text for a person, in which whatever commands a terminal, or nobody sees, is spelled out. Idempotent.

    Joiners and spaces of other scripts are shown: they command nothing, and without joiners words and families of
    emoji fall apart.
    """
    if text.isprintable():
        return text
    return "".join(each if each.isprintable() or _is_harmless(each) else _spelled(each) for each in text)


def _is_harmless(each: str) -> bool:
    return each in JOINERS or unicodedata.category(each) == "Zs"


def _spelled(each: str) -> str:
    code = ord(each)
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}" if code < 0x1_0000 else f"\\U{code:08x}"
