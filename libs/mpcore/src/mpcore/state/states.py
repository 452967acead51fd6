"""The states of one aggregate in one workspace, by their ids. Finished ones take a fifth of the memory."""

from collections.abc import Iterable, Iterator
from hashlib import blake2b
from typing import Any, NamedTuple

import msgspec

from mpcore.state.packed import BODY_BYTES_MAX, Item, PackedRecords

_KEY_BYTES = 8
_NUMBER_BYTES = 2
_NAMES_MAX = 4_096
"""Names that have a number in one index: of projects and boards there are few."""
_get, _has, _count = dict.get, dict.__contains__, dict.__len__
_names, _values, _items = dict.__iter__, dict.values, dict.items
_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(list[Any]).decode


look = dict.get
"""`look(states, name)` finds a state that is not packed, at the speed of a dictionary. If it finds none, `get` may."""


class States(dict[str, Any]):
    """A dictionary of states that packs those it is told to. What is packed is read as before.

    A packed state that changes stands in the dictionary again, and hides the packed one: a rollback need not know.
    """

    __slots__ = ("_packed", "_type", "packs")

    def __init__(self, state: type[Any]) -> None:
        super().__init__()
        self._type = state
        self._packed: PackedStates | None = None
        self.packs = False
        """True once something is packed."""

    def pack(self, name: str) -> None:
        """Pack one state of the dictionary. Nothing that happened to it will be rolled back."""
        state = _get(self, name)
        if state is None:
            return
        if self._packed is None:
            self._packed, self.packs = PackedStates(self._type), True
        if self._packed.put(state):
            del self[name]

    def pack_all(self, finished: frozenset[str]) -> None:
        """Pack all states of the dictionary that are in one of these. Without a bound: for when a state is loaded."""
        if finished:
            for name in [name for name, state in _items(self) if state.state in finished]:
                self.pack(name)

    def frozen(self) -> "FrozenStates":
        """Copy this cheaply: references alone."""
        packed = None if self._packed is None else self._packed.copy()
        return FrozenStates(list(_values(self)), packed or PackedStates(self._type))

    def get(self, name: str, default: Any = None) -> Any:
        """See `dict`."""
        found = _get(self, name)
        if found is None and self._packed is not None:
            found = self._packed.get(name)
        return default if found is None else found

    def __missing__(self, name: str) -> Any:
        found = None if self._packed is None else self._packed.get(name)
        if found is None:
            raise KeyError(name)
        return found

    def __contains__(self, name: object) -> bool:
        return _has(self, name) or (self._packed is not None and self._packed.get(str(name)) is not None)

    def __iter__(self) -> Iterator[str]:
        yield from _names(self)
        yield from (state.id for state in self._unpacked())

    def __len__(self) -> int:
        return _count(self) + sum(1 for _ in self._unpacked())

    def __bool__(self) -> bool:
        return _count(self) > 0 or self._packed is not None

    def keys(self) -> Iterable[str]:  # type: ignore[override]
        """See `dict`."""
        return iter(self)

    def values(self) -> Iterable[Any]:  # type: ignore[override]
        """See `dict`."""
        yield from _values(self)
        yield from self._unpacked()

    def items(self) -> Iterable[tuple[str, Any]]:  # type: ignore[override]
        """See `dict`."""
        return ((state.id, state) for state in self.values())

    def __eq__(self, other: object) -> bool:
        return isinstance(other, dict) and dict(self.items()) == dict(other.items())

    def __deepcopy__(self, memo: dict[int, Any]) -> "States":
        found = States(self._type)
        dict.update(found, {state.id: state for state in self.values()})  # States never change.
        return found

    __hash__ = None

    def _unpacked(self) -> Iterator[Any]:
        packed = self._packed
        if packed is not None:
            yield from (state for _, body in packed if not _has(self, (state := packed.state(body)).id))


class FrozenStates(NamedTuple):
    """All states as they were at one moment."""

    live: list[Any]
    """In the order in which they came to be."""
    packed: "PackedStates"

    def in_order(self) -> Iterator[list[Item]]:
        """All states in pieces, in an order that follows from their ids alone."""
        packed, live = self.packed, ((key_of(state.id), state.id, state) for state in self.live)
        for piece in packed.in_order(live, lambda key, body: (key, (state := packed.state(body)).id, state)):
            # A state that changed since it was packed stands before the packed one.
            yield [each for at, each in enumerate(piece) if not at or each[1] != piece[at - 1][1]]


class PackedStates(PackedRecords):
    """States as arrays without what their ends have by default. A value of bytes is the number of a name."""

    __slots__ = ("_defaults", "_names", "_numbers", "_type")

    def __init__(self, state: type[Any]) -> None:
        super().__init__(_KEY_BYTES)
        self._type = state
        self._defaults = _defaults(state)
        self._names: list[str] = []
        self._numbers: dict[str, bytes] = {}

    def copy(self) -> "PackedStates":
        """See `PackedRecords`."""
        found = PackedStates(self._type)
        found.share(self)
        found._names, found._numbers = self._names.copy(), self._numbers.copy()
        return found

    def get(self, name: str) -> Any:
        """Unpack one state; None if it is not here."""
        body = self._body(key_of(name), name)
        return None if body is None else self.state(body)

    def put(self, state: Any) -> bool:
        """Pack a state, in place of what is here of it. Returns whether it is small enough."""
        body = self._packed(state)
        if len(body) > BODY_BYTES_MAX:
            return False
        key = key_of(state.id)
        if (former := self._body(key, state.id)) is not None:
            self.remove(key, former)
        self.add(key, body)
        return True

    def state(self, body: bytes) -> Any:
        """Unpack a body."""
        fields = _decode(body)
        named = [self._names[int.from_bytes(each, "big")] if type(each) is bytes else each for each in fields]
        return msgspec.convert(named, self._type)

    def _body(self, key: int, name: str) -> bytes | None:
        return next((body for body in self.find(key) if _decode(body)[0] == name), None)

    def _packed(self, state: Any) -> bytes:
        fields: list[Any] = msgspec.to_builtins(state)
        for default in self._defaults:
            if fields[-1] != default:
                break
            del fields[-1]
        fields[1:] = [self._number(each) if type(each) is str else each for each in fields[1:]]
        return _encode(fields)

    def _number(self, name: str) -> bytes | str:
        number = self._numbers.get(name)
        if number is None:
            if len(self._names) >= _NAMES_MAX:
                return name
            number = self._numbers[name] = len(self._names).to_bytes(_NUMBER_BYTES, "big")
            self._names.append(name)
        return number


def _defaults(state: type[Any]) -> tuple[Any, ...]:
    """The defaults of a state's last fields, the last first."""
    found = []
    for each in reversed(msgspec.structs.fields(state)):
        if each.required:
            break
        default = each.default if each.default_factory is msgspec.NODEFAULT else each.default_factory()
        found.append(msgspec.to_builtins(default))
    return tuple(found)


def key_of(name: str) -> int:
    """The number by which a state is packed and ordered."""
    return int.from_bytes(blake2b(name.encode(), digest_size=_KEY_BYTES).digest(), "big")
