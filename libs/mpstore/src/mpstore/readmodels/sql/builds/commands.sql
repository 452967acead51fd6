-- commands: what became of each command. Run once they are filled from the log.

CREATE INDEX commands_in_order ON {tables}.commands (workspace_id, first_seq);
CREATE INDEX commands_by_key ON {tables}.commands (workspace_id, idempotency_key);
