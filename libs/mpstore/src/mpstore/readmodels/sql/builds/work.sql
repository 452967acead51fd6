-- work: boards, tasks and their links. Run once they are filled from the log.

CREATE INDEX tasks_by_state ON {tables}.tasks (workspace_id, state, created_seq);
CREATE INDEX tasks_by_holder ON {tables}.tasks (workspace_id, holder, created_seq) WHERE holder IS NOT NULL;
