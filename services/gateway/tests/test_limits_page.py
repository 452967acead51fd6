"""The page of limits says what the code says: every setting that bounds something, with its default."""

from __future__ import annotations

from pathlib import Path

from mpgateway.auth.refusals import ADDRESS, DENIED, PRINCIPAL
from mpgateway.settings import GatewaySettings

PAGE = Path(__file__).parents[3] / "context/operations/limits.md"
AUTHORITY = PAGE.with_name("authority.md")
RATES = {"unknown credentials": ADDRESS, "doors that were not open, per p": PRINCIPAL, "commands that": DENIED}
BOUNDING = ("http_", "stream_", "rate_limit_", "refused_", "body_")
ALSO = ("outcome_seconds", "drain_seconds")
NOT = ("http_host", "http_port")


def _rows() -> list[str]:
    fields = GatewaySettings.model_fields.items()
    named = [(name, field) for name, field in fields if name.startswith(BOUNDING) or name in ALSO]
    return [
        f"| `MP_{name.upper()}` | {field.default:,} | {field.description} |" for name, field in named if name not in NOT
    ]


def test_every_limit_stands_on_the_page_with_its_default() -> None:
    text = PAGE.read_text()
    missing = [row for row in _rows() if row not in text]
    assert not missing, "add to context/operations/limits.md:\n" + "\n".join(missing)


def test_the_page_names_no_limit_that_is_none() -> None:
    stated = [line for line in PAGE.read_text().splitlines() if line.startswith("| `MP_")]
    assert sorted(stated) == sorted(_rows())


def test_the_rates_of_refusals_are_those_of_the_page() -> None:
    rows = [line for line in AUTHORITY.read_text().splitlines() if " at once |" in line]
    assert len(rows) == len(RATES)
    for begins, rate in RATES.items():
        (row,) = [row for row in rows if row.startswith(f"| {begins}")]
        assert f"| {rate.per_second:g} a second, {rate.burst} at once |" in row
