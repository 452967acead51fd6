-- work: boards, tasks and their links. Filled from the log first, then indexed.

CREATE TABLE {tables}.boards (
    workspace_id text NOT NULL,
    id text NOT NULL,
    project_id text NOT NULL,
    name text NOT NULL,
    state text NOT NULL,
    columns jsonb NOT NULL,
    version bigint NOT NULL,
    created_seq bigint NOT NULL,
    last_seq bigint NOT NULL,
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL,
    PRIMARY KEY (workspace_id, id)
);

CREATE TABLE {tables}.tasks (
    workspace_id text NOT NULL,
    id text NOT NULL,
    project_id text NOT NULL,
    board_id text,
    title text NOT NULL,
    description text NOT NULL,
    priority integer NOT NULL,
    labels text[] NOT NULL,
    state text NOT NULL,
    holder text,
    session_id text,
    fence bigint NOT NULL,
    lease_expires_at timestamptz,
    evidence jsonb NOT NULL,
    accepted boolean NOT NULL,
    reason text NOT NULL,
    version bigint NOT NULL,
    created_seq bigint NOT NULL,
    last_seq bigint NOT NULL,
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL,
    PRIMARY KEY (workspace_id, id)
) WITH (fillfactor = 80);

CREATE TABLE {tables}.task_links (
    workspace_id text NOT NULL,
    task_id text NOT NULL,
    kind text NOT NULL,
    to_id text NOT NULL,
    created_seq bigint NOT NULL,
    PRIMARY KEY (workspace_id, task_id, kind, to_id)
);

-- AFTER THE FILL

CREATE INDEX boards_in_order ON {tables}.boards (workspace_id, created_seq);
CREATE INDEX tasks_in_order ON {tables}.tasks (workspace_id, created_seq);
CREATE INDEX tasks_by_state ON {tables}.tasks (workspace_id, state, created_seq);
CREATE INDEX tasks_by_holder ON {tables}.tasks (workspace_id, holder, created_seq) WHERE holder IS NOT NULL;
