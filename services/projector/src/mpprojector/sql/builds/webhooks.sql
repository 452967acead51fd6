-- webhooks: where they go, and what waits because it could not be delivered. Filled from the log first, then indexed.

CREATE TABLE {tables}.webhooks (
    workspace_id text NOT NULL,
    id text NOT NULL,
    endpoint text NOT NULL,
    event_types text[] NOT NULL,
    aggregates text[] NOT NULL,
    state text NOT NULL,
    reason text NOT NULL,
    generation bigint NOT NULL,
    previous_until timestamptz,
    after_seq bigint NOT NULL,
    started_seq bigint NOT NULL,
    version bigint NOT NULL,
    created_seq bigint NOT NULL,
    last_seq bigint NOT NULL,
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL,
    PRIMARY KEY (workspace_id, id)
);

CREATE TABLE {tables}.parked_keys (
    workspace_id text NOT NULL,
    webhook_id text NOT NULL,
    key text NOT NULL,
    state text NOT NULL,
    seq bigint NOT NULL,
    reason text NOT NULL,
    attempts bigint NOT NULL,
    parked_at timestamptz NOT NULL,
    parked_seq bigint NOT NULL,
    last_seq bigint NOT NULL,
    PRIMARY KEY (workspace_id, webhook_id, key)
);

-- AFTER THE FILL

CREATE INDEX webhooks_in_order ON {tables}.webhooks (workspace_id, created_seq);
CREATE INDEX webhooks_changed ON {tables}.webhooks (last_seq);
CREATE INDEX parked_keys_in_order ON {tables}.parked_keys (workspace_id, webhook_id, parked_seq);

-- The service that delivers reads both, of every workspace.
GRANT SELECT ON {tables}.webhooks, {tables}.parked_keys TO mp_webhooks;
CREATE POLICY webhooks_deliver ON {tables}.webhooks FOR SELECT TO mp_webhooks USING (true);
CREATE POLICY webhooks_deliver ON {tables}.parked_keys FOR SELECT TO mp_webhooks USING (true);
