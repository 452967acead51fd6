-- Sweeps stand beside the sessions that they end, in every build of that projection: no log of before holds an event of one.

DO $$
DECLARE
    place text;
BEGIN
    FOR place IN SELECT tables FROM mp.projections WHERE name = 'sessions' LOOP
        EXECUTE format('CREATE TABLE %I.sweeps (
            workspace_id text NOT NULL,
            id text NOT NULL,
            kind text NOT NULL,
            scope text NOT NULL,
            state text NOT NULL,
            done bigint NOT NULL,
            due_at timestamptz NOT NULL,
            version bigint NOT NULL,
            created_seq bigint NOT NULL,
            last_seq bigint NOT NULL,
            created_at timestamptz NOT NULL,
            updated_at timestamptz NOT NULL,
            PRIMARY KEY (workspace_id, id)
        ) WITH (fillfactor = 80)', place);
        EXECUTE format('CREATE INDEX sweeps_in_order ON %I.sweeps (workspace_id, created_seq)', place);
        EXECUTE format('CREATE INDEX sweeps_running ON %I.sweeps (workspace_id) WHERE state = ''running''', place);
        EXECUTE format('ALTER TABLE %I.sweeps ENABLE ROW LEVEL SECURITY', place);
        EXECUTE format('ALTER TABLE %I.sweeps FORCE ROW LEVEL SECURITY', place);
        EXECUTE format('CREATE POLICY projector_folds ON %I.sweeps TO mp_projector USING (true) WITH CHECK (true)', place);
        EXECUTE format(
            'CREATE POLICY one_workspace ON %I.sweeps FOR SELECT TO mp_gateway '
            'USING (workspace_id = current_setting(''mp.workspace'', true))', place);
        EXECUTE format('CREATE POLICY owner_mends ON %I.sweeps TO CURRENT_USER USING (true) WITH CHECK (true)', place);
        EXECUTE format('GRANT SELECT ON %I.sweeps TO mp_gateway', place);
        EXECUTE format('GRANT SELECT, INSERT, UPDATE, DELETE ON %I.sweeps TO mp_projector', place);
    END LOOP;
END $$;
UPDATE mp.projections SET table_names = table_names || '{sweeps}' WHERE name = 'sessions';
