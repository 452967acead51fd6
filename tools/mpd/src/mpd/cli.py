"""`mpd`: the whole of ModuPrompt on one machine.

Exit codes: 0 done; 1 something failed; 2 wrong usage; 3 it already runs (start), or does not run (status, stop).
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any, NoReturn

import click
import structlog
from mpcli.steps import FIRST_STEPS
from mpschema.escapes import shown
from mpschema.ids import is_id
from mpservice.telemetry import log_factory
from rich.console import Console

from mpd import installation, logs, report
from mpd.containers import write_installation
from mpd.credentials import Credentials
from mpd.installation import AlreadyRunning, NoFolder, NotRunning
from mpd.keys import make_private, new_environment, open_private
from mpd.ports import is_free
from mpd.process import ServerFailed
from mpd.servers.wheels import WheelMissing
from mpd.shapes import BadFile
from mpd.stack import UNCOUNTED, Stack, wanted_http_port
from mpd.supervisor import Supervisor

FAILED = 1
WRONG_STATE = 3
DETACH_SILENT_SECONDS_MAX = 120.0
"""The longest time that a background start may write nothing down."""
STOP_SECONDS_MAX = 90.0

out = Console(highlight=False, soft_wrap=True)
err = Console(stderr=True, highlight=False, soft_wrap=True)


def _default_folder() -> Path:
    try:
        return installation.default_folder()
    except NoFolder as nowhere:
        raise click.UsageError(str(nowhere)) from None


data_option = click.option(
    "--data",
    "folder",
    type=click.Path(file_okay=False, path_type=Path),
    default=_default_folder,
    help="Folder of all data.  [default: $MP_HOME or ~/.moduprompt]",
)
json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON.")


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="mpd")
def main() -> None:
    """Run the whole of ModuPrompt on this machine: servers, kernel, projector and gateway.

    \b
    Examples:
      mpd start                  in the foreground, Ctrl-C stops it
      mpd start --detach         in the background
      mpd status --json
      mpd logs -f kernel-1
      mpd stop
    """


@main.command()
@data_option
@click.option("--http-port", type=click.IntRange(1, 65535), help="Port of the API.  [default: 8080 or the next free]")
@click.option("--kernels", type=click.IntRange(1, 9), default=1, show_default=True, help="Kernels: one leads.")
@click.option("--relay/--no-relay", default=True, help="Copy every event to the feed stream, for NATS.  [default: do]")
@click.option("--webhooks/--no-webhooks", default=True, help="Deliver to webhooks.  [default: do]")
@click.option("--detach", is_flag=True, help="Return when everything is started and leave it running.")
@json_option
def start(
    folder: Path, http_port: int | None, kernels: int, relay: bool, webhooks: bool, detach: bool, as_json: bool
) -> None:
    """Start everything, wait until it is ready, and say what to type next.

    A service that is halted, or waits, is started: mpd says why it does no work, and stays up. Exits with 3 if it
    already runs on this folder.

    \b
    Examples:
      mpd start
      mpd start --data ./scratch --http-port 9000 --kernels 2
      mpd start --detach --json
    """
    try:
        installation.make_folder(folder)
        if http_port is not None and installation.running_pid(folder) is None and not is_free(http_port):
            raise click.BadParameter(f"port {http_port} is taken: name another one", param_hint="--http-port")
        if http_port is None and installation.running_pid(folder) is None:
            _tell_taken(wanted_http_port(folder))
        if detach:
            _start_detached(folder, http_port, kernels, relay, webhooks)
            _announce(folder, as_json, detached=True)
        else:
            _run(folder, http_port, kernels, relay, webhooks, as_json)
    except AlreadyRunning as running:
        _fail(str(running), WRONG_STATE, hint="mpd status shows how it is, mpd stop stops it")
    except (NoFolder, BadFile) as unusable:
        _fail(str(unusable), FAILED)
    except (ServerFailed, WheelMissing, OSError) as failure:
        _fail(str(failure), FAILED, hint=f"the logs are in {folder / 'logs'}")


@main.command()
@data_option
@json_option
def status(folder: Path, as_json: bool) -> None:
    """Show every process. Exits with 0 if all are ready, 1 if not, 3 if nothing runs.

    \b
    Examples:
      mpd status
      mpd status --json | jq .processes
    """
    try:
        state = installation.read_state(folder)
    except NotRunning as nothing:
        if as_json:
            click.echo(json.dumps({"phase": "stopped", "processes": []}))
        _fail(str(nothing), WRONG_STATE, hint="mpd start starts it")
    told = report.said(folder, state)
    if as_json:
        click.echo(json.dumps({**state, "silence": report.silence(state), "said": told}, indent=2))
    else:
        out.print(report.table(state))
        for line in report.lines(state, told):
            out.print(line, style="yellow", markup=False)
    sys.exit(0 if report.is_well(state) else FAILED)


@main.command()
@data_option
@json_option
def stop(folder: Path, as_json: bool) -> None:
    """Stop everything in order and wait until it is down. Nothing is lost. Exits with 3 if nothing runs.

    \b
    Examples:
      mpd stop
      mpd stop --data ./scratch
    """
    try:
        pid = installation.stop(folder, STOP_SECONDS_MAX)
    except NotRunning as nothing:
        _fail(str(nothing), WRONG_STATE)
    except TimeoutError as late:
        _fail(str(late), FAILED, hint=f"the logs are in {folder / 'logs'}")
    if as_json:
        click.echo(json.dumps({"stopped": pid}))
    else:
        out.print(f"stopped (pid {pid})")


@main.command("logs")
@data_option
@click.option("-f", "--follow", is_flag=True, help="Go on printing new lines until Ctrl-C.")
@click.option("-n", "--lines", type=click.IntRange(0), default=20, show_default=True, help="Lines of each log.")
@click.argument("service", required=False)
def show_logs(folder: Path, follow: bool, lines: int, service: str | None) -> None:
    """Print the logs of SERVICE, or of all: nats, postgres, valkey, kernel-1, relay-1, projector-1, gateway-1, mpd.

    \b
    Examples:
      mpd logs
      mpd logs -f gateway-1
      mpd logs -n 200 postgres
    """
    names = logs.log_names(folder)
    if service is not None and service not in names:
        _fail(f"no log of {service!r} in {folder / 'logs'}", FAILED, hint=f"there are: {', '.join(names) or 'none'}")
    for name in [service] if service else names:
        for line in logs.last_lines(folder, name, lines):
            _print_line(service, name, line)
    if follow:
        try:
            for name, line in logs.follow(folder, service):
                _print_line(service, name, line)
        except KeyboardInterrupt:
            sys.exit(0)


@main.command("keys")
@click.option(
    "--dir",
    "folder",
    type=click.Path(file_okay=False, path_type=Path),
    help="Make them as files in this folder, and keep those that are there.",
)
@click.option("--feed", "workspace_id", help="Add a user of NATS that may read the feed of this workspace.")
def make_keys(folder: Path | None, workspace_id: str | None) -> None:
    """Make the secrets of an installation in containers: as files, or printed as an environment file.

    Your own API key, of user:root, is the file root_key, or MP_ROOT_KEY: keep it, no service needs it. What is printed
    is stored nowhere.

    \b
    Examples:
      mpd keys --dir deploy/compose/secrets
      mpd keys > keys.env
      grep -v '^MP_ROOT_KEY=' keys.env | kubectl create secret generic moduprompt --from-env-file=/dev/stdin
      mpd keys --dir ~/.moduprompt/secrets --feed acme
    """
    if workspace_id is not None:
        _add_feed_user(folder, workspace_id)
        return
    if folder is None:
        for name, value in new_environment().items():
            click.echo(f"{name}={value}")
        return
    try:
        variables = write_installation(folder)
    except BadFile as bad:
        _fail(str(bad), FAILED)
    except OSError as error:
        _fail(f"no secrets made in {folder}: {error.strerror}", FAILED)
    out.print(f"Secrets are in {folder}, for their owner alone. Type next:", markup=False)
    out.print(f"  docker compose --env-file {variables} -f deploy/compose/compose.yaml up --build", markup=False)


def _add_feed_user(folder: Path | None, workspace_id: str) -> None:
    if folder is None:
        raise click.UsageError("--feed needs --dir: the folder of the secrets")
    if not is_id(workspace_id):
        raise click.BadParameter("no id of a workspace", param_hint="--feed")
    try:
        seed = Credentials(folder).add_feed_user(workspace_id)
    except BadFile as bad:
        _fail(str(bad), FAILED)
    except OSError as error:
        _fail(f"no user made in {folder}: {error.strerror}", FAILED)
    out.print(f"The client's seed is {seed}. NATS knows it from its next start on.", markup=False)


def _tell_taken(port: int) -> None:
    """Before anything starts: the address is not the one that documents and clients know."""
    if not is_free(port):
        choice = "the API takes the next free one (mpd start --http-port PORT chooses it)"
        err.print(f"port {port} is taken by another program: {choice}", style="yellow")


def _run(folder: Path, http_port: int | None, kernels: int, relay: bool, webhooks: bool, as_json: bool) -> None:
    with installation.exclusive(folder):
        stack = Stack(
            folder,
            http_port=http_port,
            kernels=kernels,
            relays=int(relay),
            webhooks=int(webhooks),
            others=dict.fromkeys(UNCOUNTED, 1),
            on_progress=lambda step: err.print(step, style="dim"),
        )
        structlog.configure(logger_factory=log_factory(sys.stdout))
        Supervisor(stack).run(on_ready=lambda: _announce(folder, as_json, detached=False))
    err.print("stopped")


def _start_detached(folder: Path, http_port: int | None, kernels: int, relay: bool, webhooks: bool) -> None:
    """Start `mpd start` in a session of its own and wait until it is ready. Raises AlreadyRunning, ServerFailed."""
    if pid := installation.running_pid(folder):
        raise AlreadyRunning(folder, pid)
    command = [
        sys.executable,
        "-m",
        "mpd",
        "start",
        "--json",
        "--data",
        str(folder.absolute()),
        "--kernels",
        str(kernels),
    ]
    command += ["--http-port", str(http_port)] if http_port else []
    command += [] if relay else ["--no-relay"]
    command += [] if webhooks else ["--no-webhooks"]
    log_path = folder / "logs" / "mpd.log"
    make_private(log_path.parent)
    with open(log_path, "ab", opener=open_private) as log:
        begin = log.tell()
        child = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True, cwd="/"
        )
    heard, heard_at = -1.0, time.monotonic()
    while (state := _state(folder)).get("phase") != "ready":
        if child.poll() is not None:
            reason = f"ended with exit code {child.returncode}"
            raise ServerFailed("mpd", reason, child.returncode, log_path.read_bytes()[begin:].decode(errors="replace"))
        if (written := state.get("written_uptime_seconds", -1.0)) != heard:
            heard, heard_at = written, time.monotonic()
        if time.monotonic() - heard_at > DETACH_SILENT_SECONDS_MAX:
            child.kill()  # Its children end with it.
            raise ServerFailed("mpd", f"said nothing for {DETACH_SILENT_SECONDS_MAX:g} s", None, "")
        time.sleep(installation.POLL_SECONDS)


def _state(folder: Path) -> dict[str, Any]:
    try:
        return installation.read_state(folder)
    except NotRunning:
        return {}


def _announce(folder: Path, as_json: bool, detached: bool) -> None:
    """Say where it is and what to type next."""
    client_path = folder.absolute() / "client.json"
    url = json.loads(client_path.read_text())["url"]
    state = _state(folder)
    waiting = [process["name"] for process in state.get("processes", ()) if not process["ready"]]
    if as_json:
        where = {"url": url, "data": str(folder.absolute()), "client_file": str(client_path)}
        click.echo(json.dumps({**where, "not_ready": waiting}))
        return
    home = "" if folder == _default_folder() else f"MP_HOME={folder.absolute()} "
    out.print(
        f"\n[bold green]ModuPrompt is running[/] at [bold]{url}[/]   (data in {folder}, API pages at {url}/docs)\n"
    )
    if waiting:
        err.print(f"Started, and not ready: {', '.join(waiting)}.", style="red", markup=False)
        for line in report.lines(state, report.said(folder, state)):
            err.print(f"  {line}", style="yellow", markup=False)
        err.print(f"It goes on by itself once that is mended; see {home}{_program('mpctl')} doctor.", markup=False)
        return
    out.print("Type next" + ("" if detached else ", in another terminal") + ":")
    for step in FIRST_STEPS:
        out.print(f"  [cyan]{home}{_program('mpctl')} {step}[/]")
    stopper = f"{home}{_program('mpd')} stop stops it" if detached else "Ctrl-C stops it"
    out.print(f"\n{stopper}; nothing is lost.")


def _program(name: str) -> str:
    """Return the name or path of a program of ours, as the user can type it here."""
    beside = Path(sys.executable).parent / name
    return name if shutil.which(name) or not beside.exists() else os.path.relpath(beside)


def _print_line(only: str | None, name: str, line: str) -> None:
    if sys.stdout.isatty():
        line = shown(line)  # What others wrote commands no terminal; a program gets the line as it is.
    click.echo(line if only else f"{name:<12} {line}")


def _fail(message: str, code: int, hint: str = "") -> NoReturn:
    err.print(f"mpd: {message}", style="red", markup=False)
    if hint:
        err.print(hint, markup=False)
    sys.exit(code)
