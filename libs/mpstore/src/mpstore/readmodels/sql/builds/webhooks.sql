-- webhooks: where they go, and what waits because it could not be delivered. Run once they are filled from the log.

CREATE INDEX webhooks_changed ON {tables}.webhooks (last_seq);
CREATE INDEX parked_keys_in_order ON {tables}.parked_keys (workspace_id, webhook_id, parked_seq);

-- The service that delivers reads both, of every workspace.
GRANT SELECT ON {tables}.webhooks, {tables}.parked_keys TO mp_webhooks;
CREATE POLICY webhooks_deliver ON {tables}.webhooks FOR SELECT TO mp_webhooks USING (true);
CREATE POLICY webhooks_deliver ON {tables}.parked_keys FOR SELECT TO mp_webhooks USING (true);
