-- archive: every commit's exact bytes. Filled from the log first, then indexed.

CREATE TABLE {tables}.log_commits (
    stream_seq bigint NOT NULL,
    first_seq bigint NOT NULL,
    last_seq bigint NOT NULL,
    epoch bigint NOT NULL,
    subject text NOT NULL,
    header bytea NOT NULL,
    previous_hash text NOT NULL,
    hash text NOT NULL,
    committed_at timestamptz NOT NULL
);

CREATE TABLE {tables}.log_events (
    seq bigint NOT NULL,
    workspace_id text NOT NULL,
    id text NOT NULL,
    event_type text NOT NULL,
    aggregate text NOT NULL,
    aggregate_id text NOT NULL,
    version bigint NOT NULL,
    epoch bigint NOT NULL,
    actor text NOT NULL,
    recorded_at timestamptz NOT NULL,
    stream_seq bigint NOT NULL,
    hash text NOT NULL,
    event bytea NOT NULL
);

-- AFTER THE FILL

ALTER TABLE {tables}.log_commits ADD PRIMARY KEY (stream_seq);
ALTER TABLE {tables}.log_commits ADD UNIQUE (last_seq);
ALTER TABLE {tables}.log_events ADD PRIMARY KEY (seq);
CREATE INDEX log_events_by_workspace ON {tables}.log_events (workspace_id, seq);
CREATE INDEX log_events_by_aggregate ON {tables}.log_events (workspace_id, aggregate_id, seq);

GRANT SELECT, INSERT ON {tables}.log_commits TO mp_projector;
REVOKE UPDATE, DELETE ON {tables}.log_events FROM mp_projector;

-- The service that delivers webhooks reads events of every workspace here.
GRANT SELECT ON {tables}.log_commits, {tables}.log_events TO mp_webhooks;
CREATE POLICY webhooks_deliver ON {tables}.log_events FOR SELECT TO mp_webhooks USING (true);
