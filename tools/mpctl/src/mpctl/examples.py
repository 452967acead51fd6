"""The examples in the help: written by hand for what is used most, derived from the schema's own for the rest."""

from __future__ import annotations

from collections.abc import Sequence

from mpcli.invocation import example
from mpschema import examples, story
from mpschema.rows import QuerySpec
from mpschema.vocabulary import CommandSpec

from mpctl.fields import FieldOption

_COMMANDS = {
    "project.create": ["mpctl project create --name core", "mpctl project create core --name core --json"],
    "task.create": ["mpctl task create --project core --title 'Fix the login retry' --priority 1 --label bug"],
    "task.claim": ["mpctl task claim fix-login --ttl-seconds 60"],
    "task.submit": [
        """mpctl task submit fix-login --fence 7 --evidence '{"kind": "test", "summary": "14 passed in 2.1 s"}'""",
        "mpctl task submit fix-login --fence 7 --evidence @evidence.json",
    ],
    "webhook.create": [
        "mpctl webhook create ci --endpoint https://ci.example/hooks --event-type TaskSubmitted",
        "mpctl webhook create audit --endpoint https://audit.example/in --after-seq 0 --json",
    ],
    "webhook.requeue": [
        "mpctl webhook requeue ci --all --dry-run",
        "mpctl webhook requeue ci --key task/fix-login",
    ],
    "session.spawn": [
        "mpctl session spawn --project core --blueprint ./agents/blueprints/reviewer.yaml",
        "mpctl session spawn --parent lead-1 --blueprint ./reviewer.yaml --purpose 'review the login'",
    ],
}
_QUERIES = {
    "webhook.parked": ["mpctl webhook parked ci", "mpctl webhook parked ci --state parked --json"],
    "task.list": ["mpctl task list --project core --state ready", "mpctl task list --all --json"],
    "event.list": ["mpctl event list --aggregate task --aggregate-id fix-login"],
    "channel.messages": ["mpctl channel messages findings --kind finding"],
}


def example_id(aggregate: str) -> str:
    """An id as it stands in examples."""
    return examples.IDS.get(aggregate, story.WORKSPACE)


def command_examples(spec: CommandSpec, options: Sequence[FieldOption]) -> list[str]:
    """Examples of a command."""
    if spec.command_type in _COMMANDS:
        return _COMMANDS[spec.command_type]
    arguments = examples.command_example(spec.arguments)
    words = [word for option in options for word in option.words(getattr(arguments, option.name))]
    target = [] if spec.creates or spec.aggregate == "workspace" else [example_id(spec.aggregate)]
    return [example(spec.aggregate, spec.action.replace("_", "-"), *target, *words)]


def query_examples(spec: QuerySpec) -> list[str]:
    """Examples of a query."""
    if spec.query_type in _QUERIES:
        return _QUERIES[spec.query_type]
    target = [example_id(spec.aggregate)] if "{id}" in spec.route else []
    return [example(spec.aggregate, spec.action.replace("_", "-"), *target)]
