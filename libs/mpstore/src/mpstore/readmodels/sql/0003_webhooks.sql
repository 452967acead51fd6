-- The delivery of webhooks: how far each has come, and what waits. No read model: it says what was done, and the log
-- does not hold that. One row of mp_webhooks.positions is one lane, delivered by one worker at a time.
-- So it outlives the read models, and may be there already where those are made anew.

CREATE SCHEMA IF NOT EXISTS mp_webhooks;

CREATE TABLE IF NOT EXISTS mp_webhooks.positions (
    workspace_id text NOT NULL,
    webhook_id text NOT NULL,
    -- Every event up to this one was delivered, or waits with its key, or is none of the webhook's.
    position bigint NOT NULL,
    -- The newest epoch that was read: tells a position in a log that was put back from one in the log before it.
    epoch bigint NOT NULL DEFAULT 0,
    -- The event that told the webhook where to begin; a newer one moves the position.
    started_seq bigint NOT NULL,
    delivered bigint NOT NULL DEFAULT 0,
    delivered_at timestamptz,
    failure text,
    failed_at timestamptz,
    -- The fence: who delivers, until when by this server's clock, and how often that changed hands.
    owner text,
    owner_epoch bigint NOT NULL DEFAULT 0,
    lease_until timestamptz,
    updated_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (workspace_id, webhook_id)
) WITH (fillfactor = 50);

CREATE TABLE IF NOT EXISTS mp_webhooks.waiting (
    workspace_id text NOT NULL,
    webhook_id text NOT NULL,
    key text NOT NULL,
    -- Of this key everything up to this event is delivered.
    after_seq bigint NOT NULL,
    attempts integer NOT NULL,
    due_at timestamptz NOT NULL,
    reason text NOT NULL,
    -- The event that recorded that it is parked; null while it is tried again by itself.
    parked_seq bigint,
    PRIMARY KEY (workspace_id, webhook_id, key)
) WITH (fillfactor = 50);

CREATE TABLE IF NOT EXISTS mp_webhooks.workers (
    node text PRIMARY KEY,
    lease_until timestamptz NOT NULL
) WITH (fillfactor = 20);

GRANT USAGE ON SCHEMA mp, mp_webhooks TO mp_webhooks;
GRANT SELECT ON mp.schema_migrations TO mp_webhooks;
GRANT SELECT, INSERT, UPDATE, DELETE ON mp_webhooks.positions, mp_webhooks.waiting, mp_webhooks.workers TO mp_webhooks;

-- The gateway shows a tenant how its own webhooks fare.
GRANT USAGE ON SCHEMA mp_webhooks TO mp_gateway;
GRANT SELECT ON mp_webhooks.positions, mp_webhooks.waiting TO mp_gateway;
DO $$
DECLARE
    owned text;
BEGIN
    FOREACH owned IN ARRAY ARRAY['positions', 'waiting'] LOOP
        EXECUTE format('ALTER TABLE mp_webhooks.%I ENABLE ROW LEVEL SECURITY', owned);
        EXECUTE format('ALTER TABLE mp_webhooks.%I FORCE ROW LEVEL SECURITY', owned);
        EXECUTE format('DROP POLICY IF EXISTS webhooks_deliver ON mp_webhooks.%I', owned);
        EXECUTE format('DROP POLICY IF EXISTS owner_mends ON mp_webhooks.%I', owned);
        EXECUTE format('DROP POLICY IF EXISTS one_workspace ON mp_webhooks.%I', owned);
        EXECUTE format('CREATE POLICY webhooks_deliver ON mp_webhooks.%I TO mp_webhooks USING (true) WITH CHECK (true)', owned);
        EXECUTE format('CREATE POLICY owner_mends ON mp_webhooks.%I TO CURRENT_USER USING (true) WITH CHECK (true)', owned);
        EXECUTE format(
            'CREATE POLICY one_workspace ON mp_webhooks.%I FOR SELECT TO mp_gateway '
            'USING (workspace_id = current_setting(''mp.workspace'', true))', owned);
    END LOOP;
END $$;

-- Every build of the archive that is there, wherever its tables are: going back to one must not stop the deliveries.
DO $$
DECLARE
    place text;
BEGIN
    FOR place IN SELECT tables FROM mp.projections WHERE name = 'archive' AND phase IN ('serving', 'following', 'kept') LOOP
        EXECUTE format('GRANT SELECT ON %I.log_commits, %I.log_events TO mp_webhooks', place, place);
        EXECUTE format('CREATE POLICY webhooks_deliver ON %I.log_events FOR SELECT TO mp_webhooks USING (true)', place);
    END LOOP;
END $$;
