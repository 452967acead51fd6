"""A program by a user of the generated package: minimal bodies, a refusal as a value, a batch."""

import json
import os

from moduprompt_api import AuthenticatedClient
from moduprompt_api.api.commands import commands_batch
from moduprompt_api.api.tasks import task_create, task_get
from moduprompt_api.models import BatchLine, CreateTask, Outcome, Problem, TaskRow

client = AuthenticatedClient(base_url=os.environ["URL"], token=os.environ["TOKEN"])
made = task_create.sync(
    "acme", client=client, body=CreateTask(project_id="core", title="From Python"), idempotency_key="from-py"
)
assert isinstance(made, Outcome)
assert isinstance(made.target, str)
task = task_get.sync("acme", made.target, client=client, after_seq=made.last_seq)
assert isinstance(task, TaskRow)
refused = task_create.sync("acme", client=client, body=CreateTask(project_id="nowhere", title="x"))
assert isinstance(refused, Problem)
lines = [BatchLine(type_="task.mark_ready", target=made.target), BatchLine(type_="task.mark_ready", target="none")]
answers = commands_batch.sync("acme", client=client, body=lines)
assert isinstance(answers, list)
told = [each.code if isinstance(each, Problem) else each.status for each in answers]
print(json.dumps({"title": task.title, "priority": task.priority, "refused": refused.code, "batch": told}))
