"""Draws the domain: a page for each aggregate with its states, its commands, who may give them and what they become.

`python -m mpcore.diagrams [FOLDER]` writes the pages. They come from the tables that the kernel decides by, and a
test compares them, so they cannot tell another story.
"""

import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

from mpschema.principal import Role
from mpschema.registry import AGGREGATES, COMMANDS, KERNEL_COMMANDS
from mpschema.vocabulary import CommandSpec

from mpcore.access.policy import ROLE_COMMANDS, SYSTEM_COMMANDS
from mpcore.domain.aggregates import BY_NAME
from mpcore.state.rules import Rule, Rules

FOLDER = Path("context/domain")
_NOTE = "Written by `make docs` from the tables the kernel decides by."
_FOLLOW_UPS = "The kernel gives these by itself, in the commit of what caused them. Nobody else can."
_RANKED = (Role.OWNER, Role.OPERATOR, Role.DEVELOPER, Role.AGENT)


def pages() -> dict[str, str]:
    """File name to text, of every page."""
    return {"index.md": _index(), **{f"{aggregate}.md": _page(aggregate) for aggregate in AGGREGATES}}


def _index() -> str:
    rows = (f"- [{name.capitalize()}]({name}.md): {_summary(name)}" for name in AGGREGATES)
    return _text("# The domain", "", f"For whoever gives commands or reads events. {_NOTE}", "", *rows)


def _page(aggregate: str) -> str:
    rules, own = _rules(COMMANDS, aggregate), _rules(KERNEL_COMMANDS, aggregate)
    states = ["", "## States", "", *_diagram([*rules, *own])] if any(rule.targets for _, rule in rules) else []
    commands = ["", "## Commands", "", *_table(rules)] if rules else []
    follow_ups = ["", "## Follow-ups", "", _FOLLOW_UPS, "", *_follow_ups(own)] if own else []
    about = (BY_NAME[aggregate].about).strip()
    head = (f"# {aggregate.capitalize()}", "", about, "", f"{_NOTE} [All pages](index.md)")
    return _text(*head, *states, *commands, *follow_ups)


def _rules(commands: Mapping[str, CommandSpec], aggregate: str) -> list[tuple[CommandSpec, Rule]]:
    return [(spec, _rule(spec)) for spec in commands.values() if spec.aggregate == aggregate]


def _diagram(rules: list[tuple[CommandSpec, Rule]]) -> Iterator[str]:
    arrows = [
        (source, target, spec.action)
        for spec, rule in rules
        for source in (sorted(rule.sources) or ["[*]"])
        for target in rule.targets
    ]
    ends = {target for _, target, _ in arrows} - {source for source, _, _ in arrows}
    yield from ("```mermaid", "stateDiagram-v2")
    yield from (f"    {source} --> {target}: {label}" for source, target, label in arrows)
    yield from (f"    {state} --> [*]" for state in sorted(ends))
    yield "```"


def _table(rules: list[tuple[CommandSpec, Rule]]) -> Iterator[str]:
    yield "| Command | What it asks for | Allowed in | Leads to | Becomes | By |"
    yield "|---|---|---|---|---|---|"
    for spec, rule in rules:
        events = ", ".join(f"`{event.__name__}`" for event in spec.emits)
        sources = ", ".join(sorted(rule.sources)) or "-"
        targets = " or ".join(rule.targets) or "-"
        yield f"| `{spec.command_type}` | {spec.summary} | {sources} | {targets} | {events} | {_by(spec)} |"


def _follow_ups(rules: list[tuple[CommandSpec, Rule]]) -> Iterator[str]:
    yield "| Command | What it does | Allowed in | Becomes |"
    yield "|---|---|---|---|"
    for spec, rule in rules:
        events = ", ".join(f"`{event.__name__}`" for event in spec.emits)
        yield f"| `{spec.command_type}` | {spec.summary} | {', '.join(sorted(rule.sources)) or '-'} | {events} |"


def _by(spec: CommandSpec) -> str:
    roles = [role.value for role in _RANKED if spec.command_type in ROLE_COMMANDS[role]]
    roles += [f"`{name}`" for name, commands in SYSTEM_COMMANDS.items() if spec.command_type in commands]
    return ", ".join(roles) or "an operator of the deployment"


def _rule(spec: CommandSpec) -> Rule:
    rules: Rules = BY_NAME[spec.aggregate].rules
    return rules[spec.arguments]


def _summary(aggregate: str) -> str:
    return (BY_NAME[aggregate].about).partition("\n")[0]


def _text(*lines: str) -> str:
    return "\n".join(lines) + "\n"


def main() -> None:
    """Write every page into the folder named on the command line."""
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else FOLDER
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in pages().items():
        (folder / name).write_text(text)


if __name__ == "__main__":
    main()
