-- commands: what became of each command. Filled from the log first, then indexed.

CREATE TABLE {tables}.commands (
    workspace_id text NOT NULL,
    id text NOT NULL,
    idempotency_key text NOT NULL,
    status text NOT NULL,
    command_type text,
    target text NOT NULL,
    code text,
    detail text NOT NULL,
    actor text NOT NULL,
    first_seq bigint NOT NULL,
    last_seq bigint NOT NULL,
    epoch bigint NOT NULL,
    decided_at timestamptz NOT NULL
);

-- AFTER THE FILL

ALTER TABLE {tables}.commands ADD PRIMARY KEY (workspace_id, id);
CREATE INDEX commands_in_order ON {tables}.commands (workspace_id, first_seq);
CREATE INDEX commands_by_key ON {tables}.commands (workspace_id, idempotency_key);
