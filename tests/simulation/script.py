"""The commands of simulated clients: plausible ones on shared things, so that they get in each other's way."""

from random import Random

import msgspec
from mpschema import channel, codec, ending, levels, principal, project, session, task, workspace
from mpschema.base import Command
from mpschema.envelope import CommandEnvelope
from mpschema.registry import ALL_COMMANDS
from mpschema.system import LOG, SYSTEM_WORKSPACE, RaiseFeatureLevel, SetLimits

_SPECS = {spec.arguments: spec for spec in ALL_COMMANDS.values()}
_PARENTS = ("lead", "s0", "s1")
_BLUEPRINT = session.BlueprintRef(name="worker", version="1.0.0", digest="b" * 64)


def _command(command_id: str, target: str, arguments: Command) -> CommandEnvelope:
    return _SPECS[type(arguments)].envelope(
        codec.encode(arguments), command_id=command_id, workspace_id="acme", principal="user:root", target=target
    )


def riddle(name: str) -> CommandEnvelope:
    """A command that looks like any other, and whose id says what it does to the kernel."""
    return _command(f"riddle-{name}", "riddle", task.CreateTask(project_id="core", title=name))


def raise_level() -> CommandEnvelope:
    """An operator's last step of an upgrade."""
    return _of_the_log("raise", RaiseFeatureLevel(level=levels.FEATURE_LEVEL))


def _of_the_log(command_id: str, arguments: Command) -> CommandEnvelope:
    return msgspec.structs.replace(_command(command_id, LOG, arguments), workspace_id=SYSTEM_WORKSPACE)


def packed(commands: list[CommandEnvelope]) -> bytes:
    """One message of them."""
    return b"\n".join(map(codec.encode, commands))


class Script:
    """Makes the commands of one client, from its own dice."""

    def __init__(self, dice: Random) -> None:
        self._dice = dice

    def setup(self) -> list[CommandEnvelope]:
        """Return the commands that must come first."""
        return [
            _of_the_log("s0", SetLimits(sweep_facts=1)),
            _command("s1", "acme", workspace.CreateWorkspace(name="Acme")),
            _command("s2", "core", project.CreateProject(name="core")),
            _command("s3", "lead", session.SpawnSession(blueprint=_BLUEPRINT, project_id="core")),
            _command("s4", "lead", session.StartSession()),
            _command("s6", "s0", session.SpawnSession(blueprint=_BLUEPRINT, parent_id="lead")),
            *(
                _command(f"s{7 + n}", f"s{3 + n}", session.SpawnSession(blueprint=_BLUEPRINT, parent_id="s0"))
                for n in range(3)
            ),
            _command("s5", "talk", channel.OpenChannel(session_id="lead", scope=channel.Scope.SUBTREE, name="talk")),
        ]

    def work(self, client: str, count: int) -> list[CommandEnvelope]:
        """`count` commands on a few shared tasks, sessions and a channel."""
        return [_command(f"{client}-{n}", *self._one(f"{client}-{n}")) for n in range(count)]

    def _one(self, name: str) -> tuple[str, Command]:
        dice = self._dice
        item = f"t{dice.randrange(5)}"
        fence = dice.randint(1, 3)
        choices: list[tuple[str, Command]] = [
            (item, task.CreateTask(project_id="core", title=name)),
            (item, task.MarkTaskReady()),
            (item, task.ClaimTask(dice.choice((None, "lead", "s0", "s1")), ttl_seconds=dice.randint(1, 20))),
            (item, task.RenewTask(fence=fence, ttl_seconds=dice.randint(1, 20))),
            (item, task.StartTask(fence=fence)),
            (item, task.SubmitTask(fence=fence, evidence=(task.Evidence(kind="test", summary="ran"),))),
            (item, task.RejectTask(reason="again")),
            (item, task.AcceptTask()),
            (item, task.CompleteTask()),
            (item, task.LinkTask(kind=task.LinkKind.BLOCKS, to=f"t{dice.randrange(5)}")),
            (item, task.CreateTask(project_id="core", title=name, description="x" * dice.choice((900, 5_000)))),
            (f"s{dice.randrange(9)}", session.SpawnSession(blueprint=_BLUEPRINT, parent_id=dice.choice(_PARENTS))),
            (f"s{dice.randrange(9)}", session.SpawnSession(blueprint=_BLUEPRINT, parent_id=dice.choice(_PARENTS))),
            (f"s{dice.randrange(3)}", session.StartSession()),
            (f"s{dice.randrange(3)}", dice.choice([session.IssueSessionToken(), session.RevokeSessionTokens()])),
            (f"user:{dice.randrange(3)}", principal.BindRole(role=dice.choice(list(principal.Role)))),
            (f"user:{dice.randrange(3)}", principal.UnbindRole(role=dice.choice(list(principal.Role)))),
            (f"user:{dice.randrange(3)}", principal.IssueKey(f"k{dice.randrange(5)}", f"{dice.randrange(5):064x}")),
            (f"user:{dice.randrange(3)}", principal.RevokeKey(f"k{dice.randrange(5)}")),
            (f"s{dice.randrange(3)}", session.CancelSession(reason="enough")),
            ("core", project.ArchiveProject(cancel=ending.CancelSessions.RUNNING))
            if dice.random() < 0.1
            else (f"s{dice.randrange(3)}", session.FailSession(failure="crash")),
            ("talk", channel.PostMessage(kind="note", body=name, reply_by_seconds=dice.randint(1, 30))),
            ("talk", channel.AckMessages(cursor=dice.randint(1, 5))),
        ]
        return dice.choice(choices)
