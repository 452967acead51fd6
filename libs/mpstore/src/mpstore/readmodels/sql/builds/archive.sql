-- archive: every commit's exact bytes. Run once they are filled from the log.

ALTER TABLE {tables}.log_commits ADD UNIQUE (last_seq);
CREATE INDEX log_events_by_workspace ON {tables}.log_events (workspace_id, seq);
CREATE INDEX log_events_by_aggregate ON {tables}.log_events (workspace_id, aggregate_id, seq);

GRANT SELECT, INSERT ON {tables}.log_commits TO mp_projector;
REVOKE UPDATE, DELETE ON {tables}.log_events FROM mp_projector;

-- The service that delivers webhooks reads events of every workspace here.
GRANT SELECT ON {tables}.log_commits, {tables}.log_events TO mp_webhooks;
CREATE POLICY webhooks_deliver ON {tables}.log_events FOR SELECT TO mp_webhooks USING (true);
