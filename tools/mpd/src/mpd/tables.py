"""`python -m mpd.tables`: the tables of `context/operations/credentials.md`, from what the servers are told."""

from __future__ import annotations

import sys
from pathlib import Path

from mpservice.users import nats_users, redis_rules

PAGE = Path("context/operations/credentials.md")
BEGIN, END = "<!-- tables: begin -->\n", "<!-- tables: end -->\n"


def tables() -> str:
    """Every user of NATS with its subjects in shard `0`, and every user of Redis with its rules."""
    lines = []
    for user in nats_users():
        lines += [f"### `{user.name}`", "", f"{user.rights.purpose[0].upper()}{user.rights.purpose[1:]}.", ""]
        lines += ["| may publish | may subscribe to |", "|---|---|"]
        count = max(len(user.publish), len(user.subscribe))
        for index in range(count):
            cells = [each[index] if index < len(each) else "" for each in (user.publish, user.subscribe)]
            lines.append("| " + " | ".join(f"`{cell}`" if cell else "" for cell in cells) + " |")
        lines.append("")
    lines += ["### Redis", "", "| user | rules |", "|---|---|"]
    lines += [f"| `{user}` | `{rules}` |" for user, rules in redis_rules().items()]
    return "\n".join(lines) + "\n"


def written(page: str) -> str:
    """The page with its tables anew. Raises `ValueError` when it has no place for them."""
    before, _, rest = page.partition(BEGIN)
    _, found, after = rest.partition(END)
    if not found:
        raise ValueError(f"the page has no lines {BEGIN!r} and {END!r}")
    return f"{before}{BEGIN}\n{tables()}\n{END}{after}"


def main() -> int:
    """Write the tables anew, below the present folder."""
    page = PAGE.read_text()
    if (anew := written(page)) != page:
        PAGE.write_text(anew)
        sys.stdout.write(f"wrote: {PAGE}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
