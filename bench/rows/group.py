"""A group of rows: what is measured on one site, and under which names it can be asked for."""

from collections.abc import Callable
from dataclasses import dataclass

from bench.report import Row
from bench.windows import Rhythm


@dataclass(frozen=True)
class Options:
    """The length of a window, the number of rounds, and the wanted rows."""

    seconds: float
    rhythm: Rhythm
    wanted: frozenset[str]
    kills: int = 50
    """The number of times a leader is taken away."""

    def wants(self, *names: str) -> bool:
        """Tell whether any of these rows is wanted."""
        return not self.wanted.isdisjoint(names)


@dataclass(frozen=True)
class Group:
    """Rows that share a site. `rows` says in a line what each is."""

    rows: dict[str, str]
    measure: Callable[[Options], list[Row]]


class WrongResult(Exception):
    """The measured side did not do what it was measured for: its figures mean nothing."""


def check(condition: bool, what: str) -> None:
    """Refuse figures of work that was not done."""
    if not condition:
        raise WrongResult(what)
