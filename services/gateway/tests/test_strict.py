"""JSON whose keys stand once: found cheaply where there is nothing to find, and surely where there is."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from mpgateway.problems import RequestRefused
from mpgateway.strict import check_keys
from mpschema.api import BatchLine, NewKey
from mpschema.registry import COMMANDS
from msgspec import inspect

_TEXTS = st.text(st.sampled_from('a:"\\u003'), max_size=6)
_VALUES = st.recursive(_TEXTS | st.integers(), lambda inner: st.lists(st.tuples(_TEXTS, inner), max_size=4))


def _written(value: Any) -> str:
    """An object is a list of pairs here, so that it can have a key twice; strings escape what they like."""
    if not isinstance(value, list):
        return json.dumps(value)
    return "{" + ",".join(f"{json.dumps(key)}:{_written(inner)}" for key, inner in value) + "}"


def _repeats(value: Any) -> bool:
    if not isinstance(value, list):
        return False
    keys = [key for key, _ in value]
    return len(set(keys)) < len(keys) or any(_repeats(inner) for _, inner in value)


@given(_VALUES, st.booleans())
def test_it_is_refused_exactly_when_a_key_stands_twice(value: Any, escaped: bool) -> None:
    raw = _written(value)
    if escaped:
        raw = raw.replace("a", "\\u0061")
    encoded = msgspec.json.encode(msgspec.json.decode(raw))
    if _repeats(value):
        with pytest.raises(RequestRefused, match="stands twice"):
            check_keys(raw.encode(), encoded)
    else:
        check_keys(raw.encode(), encoded)


def _structs(found: Any) -> Iterator[type[msgspec.Struct]]:
    if isinstance(found, inspect.StructType):
        yield found.cls
        for field in found.fields:
            yield from _structs(field.type)
    for name in ("item_type", "key_type", "value_type"):
        if (inner := getattr(found, name, None)) is not None:
            yield from _structs(inner)
    for name in ("types", "item_types"):
        for inner in getattr(found, name, ()):
            yield from _structs(inner)


@pytest.mark.parametrize("taken", [BatchLine, NewKey, *(spec.arguments for spec in COMMANDS.values())])
def test_what_we_take_is_encoded_without_defaults(taken: type[msgspec.Struct]) -> None:
    """Else a default that is written could stand for a key that was lost."""
    assert all(struct.__struct_config__.omit_defaults for struct in _structs(inspect.type_info(taken)))
