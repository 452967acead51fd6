"""Names as people see them: the permitted characters, the one recorded form, and the comparison of two names.

A name is for eyes. Characters that nobody sees or that command a terminal or the direction of writing have no place in
it, except the joiners U+200C and U+200D, which change how their neighbours are drawn. Letters of other scripts that
look alike are letters.
"""

import unicodedata

JOINERS = frozenset("\u200c\u200d")
_TAGS = range(0xE0020, 0xE0080)
"""The tag characters, which spell the flags of regions after a black flag."""
_BLANK_LETTERS = frozenset("\u115f\u1160\u17b4\u17b5\u2800\u3164\uffa0")
"""The characters that are letters or symbols by category, and invisible."""
_COMMANDING = {
    "Cc": "a control character",
    "Cf": "a character that nobody sees",
    "Cs": "half a character",
    "Zl": "a line separator",
    "Zp": "a paragraph separator",
}
_UNSEEN = frozenset({"Cc", "Cf", "Mn", "Me", "Zs", "Zl", "Zp", "Cs", "Cn"})


def canonical(name: str) -> str:
    """The form in which a name is recorded: composed (NFC), without space around it."""
    return unicodedata.normalize("NFC", name).strip()


def plain(name: str) -> bool:
    """Tell whether a name is recorded as it is: visible ASCII without space around it. Most names pass here, fast."""
    return name.isascii() and name.isprintable() and name == name.strip() != ""


def unfit(name: str) -> str:
    """Return the reason why a text in canonical form cannot be a name; empty where it can."""
    for place, each in enumerate(name):
        kind = unicodedata.category(each)
        if kind in _COMMANDING and each not in JOINERS and not _of_a_flag(name, place):
            return f"a name holds no {_COMMANDING[kind].removeprefix('a ')}: U+{ord(each):04X} at place {place + 1}"
    if not any(_seen(each) for each in name):
        return "a name has something to see in it"
    return ""


def folded(name: str) -> str:
    """Return the form by which names are compared: two of the same folded form look the same."""
    shown = (each for each in canonical(name) if unicodedata.category(each) != "Cf")
    return " ".join("".join(shown).split())


def _seen(each: str) -> bool:
    return unicodedata.category(each) not in _UNSEEN and each not in _BLANK_LETTERS


def _of_a_flag(name: str, place: int) -> bool:
    return ord(name[place]) in _TAGS and "\U0001f3f4" in name[:place]
