-- Who may do what with one table of a build. The projector alone writes; the gateway reads, one workspace at a time.
GRANT SELECT, INSERT, UPDATE, DELETE ON {tables}.{table} TO mp_projector;
GRANT SELECT ON {tables}.{table} TO mp_gateway;
ALTER TABLE {tables}.{table} ENABLE ROW LEVEL SECURITY;
ALTER TABLE {tables}.{table} FORCE ROW LEVEL SECURITY;
CREATE POLICY projector_folds ON {tables}.{table} TO mp_projector USING (true) WITH CHECK (true);
CREATE POLICY one_workspace ON {tables}.{table} FOR SELECT TO mp_gateway
    USING (workspace_id = current_setting('mp.workspace', true));
CREATE POLICY owner_mends ON {tables}.{table} TO CURRENT_USER USING (true) WITH CHECK (true);
