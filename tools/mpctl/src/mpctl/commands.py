"""`mpctl <aggregate> <action> [ID] --option …`: one command line command for every command of the registry."""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from typing import Any

import click
from mpcli import output
from mpcli.invocation import ExampleCommand, Invocation, common_options
from mpschema.api import Enqueued, IssuedSecret
from mpschema.envelope import Outcome
from mpschema.registry import AGGREGATES, COMMANDS
from mpschema.vocabulary import CommandSpec

from mpctl import requeueing, spawning
from mpctl.examples import command_examples
from mpctl.fields import FieldOption, field_options, payload
from mpctl.server import Flags, RemoteServer


def add_commands(groups: Mapping[str, click.Group]) -> None:
    """Every command of the registry, in the group of its aggregate."""
    for spec in COMMANDS.values():
        groups[spec.aggregate].add_command(_command(spec))


def _command(spec: CommandSpec) -> click.Command:
    options = field_options(spec.arguments)
    own: list[click.Parameter] = []
    for option in options:
        blueprint = spec.command_type == "session.spawn" and option.name == "blueprint"
        own += [spawning.blueprint_option()] if blueprint else option.parameters()
    if spec.command_type == "webhook.requeue":
        own += requeueing.options()
    return ExampleCommand(
        spec.action.replace("_", "-"),
        params=[_target(spec), *own, *_envelope_options(), *common_options()],
        callback=functools.partial(_run, spec, options),
        help=spec.arguments.__doc__,
        short_help=spec.summary,
        examples=command_examples(spec, options),
    )


def _target(spec: CommandSpec) -> click.Argument:
    """The ID: of what is to be created (may be left to the server), or of what is meant."""
    optional = spec.creates or spec.aggregate == "workspace"
    return click.Argument(["named"], metavar="[ID]" if optional else "ID", required=not optional)


def _envelope_options() -> list[click.Parameter]:
    return [
        click.Option(
            ["--idempotency-key"],
            metavar="KEY",
            help="Repeating the command under the same key gives the same answer, for 30 days at least.",
        ),
        click.Option(
            ["--expected-version"],
            metavar="N|any",
            callback=_expected_version,
            help="The version the target must have; 0: it must not exist yet.",
        ),
        click.Option(["--async", "enqueue"], is_flag=True, help="Return as soon as the command is durable."),
    ]


def _expected_version(ctx: click.Context, option: click.Parameter, value: str | None) -> int | None:
    if value is None or value == "any":
        return None
    if not value.isdecimal():
        raise click.BadParameter("is a number, or `any`", ctx, option)
    return int(value)


def _run(spec: CommandSpec, options: Sequence[FieldOption], **given: Any) -> None:
    invocation = Invocation.of(given)
    workspace, target = _addressed(spec, invocation, given["named"])
    flags = Flags(given["idempotency_key"], given["expected_version"], given["enqueue"])
    with RemoteServer.of(invocation.context, workspace) as server:
        if spec.aggregate == "project" and target and not spec.creates:
            target = server.project_id(target)
        if spec.command_type == "webhook.requeue" and requeueing.is_rehearsal(given):
            return requeueing.rehearse(server, target, given["key"], invocation.as_json)
        arguments = payload(options, given)
        if spec.command_type == "session.spawn":
            spawning.complete(arguments, invocation.context)
        if "project_id" in arguments:
            arguments["project_id"] = server.project_id(arguments["project_id"])
        answer = server.command(spec.command_type, target, arguments, flags)
        fence = server.fence(answer) if spec.command_type == "task.claim" and isinstance(answer, Outcome) else None
    return show(spec, answer, invocation.as_json, fence)


def _addressed(spec: CommandSpec, invocation: Invocation, target: str | None) -> tuple[str, str]:
    """The workspace the command goes to, and its target there ("" leaves the id to the server)."""
    if spec.aggregate == "workspace":
        workspace = (target or "") if spec.creates else target or invocation.workspace
        return workspace, workspace
    return invocation.workspace, target or ""


def show(spec: CommandSpec, answer: Outcome | Enqueued, as_json: bool, fence: int | None = None) -> None:
    """The answer to a command. `fence`: the token of the claim it took."""
    if as_json:
        plain = {name: value for name, value in _fields(answer).items() if value not in (None, "", False)}
        output.print_json(plain | ({"fence": fence} if fence else {}))
    elif isinstance(answer, Enqueued):
        output.done(f"enqueued {answer.command_id}", f"mpctl command get {answer.command_id}")
    else:
        again = "already recorded" if answer.duplicate else ""
        at = f"at {answer.epoch}:{answer.last_seq}"
        claimed = f"fence {fence}" if fence else ""
        output.done(f"{spec.emits[0].__name__} {answer.target}", claimed, f"version {answer.version}", at, again)
        if isinstance(answer, IssuedSecret):
            output.hint("its signing secret, shown this once:")
            click.echo(answer.secret)


def _fields(answer: Outcome | Enqueued) -> dict[str, Any]:
    return {name: getattr(answer, name) for name in answer.__struct_fields__}


def aggregate_help(aggregate: str) -> str:
    """Return the help of a group of generated commands."""
    return f"Commands and queries about {AGGREGATES.get(aggregate, aggregate + 's')}."
