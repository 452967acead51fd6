"""The aggregates by name: each a module with its `RULES` (commands to facts) and its `EVOLVE` (facts to state)."""

from mpkernel.core import board, channel, principal, project, session, task, webhook, workspace

MODULES = {
    "workspace": workspace,
    "principal": principal,
    "project": project,
    "board": board,
    "task": task,
    "session": session,
    "channel": channel,
    "webhook": webhook,
}

UNASKED = {"task": task.UNASKED, "session": session.UNASKED}
"""What happens to aggregates without a command of their own."""
