-- Builds: a projection may have several at a time. One serves, in the schema `mp`; others are being filled from the log,
-- wait for the switch, are kept for going back, or show how things were at one place of the log.

ALTER TABLE mp.projections
    ADD COLUMN build integer NOT NULL DEFAULT 1,
    ADD COLUMN phase text NOT NULL DEFAULT 'serving'
        CHECK (phase IN ('serving', 'filling', 'following', 'kept', 'as_of')),
    -- The event after which a build `as_of` stands still.
    ADD COLUMN until bigint,
    ADD COLUMN halted_at timestamptz,
    -- When another build took its place.
    ADD COLUMN replaced_at timestamptz,
    -- Which tables it consists of.
    ADD COLUMN table_names text[] NOT NULL DEFAULT '{}',
    DROP CONSTRAINT projections_pkey,
    ADD PRIMARY KEY (name, build),
    ADD CHECK ((phase = 'serving') = (tables = 'mp')),
    ADD CHECK ((phase = 'as_of') = (until IS NOT NULL));
CREATE UNIQUE INDEX projections_serving ON mp.projections (name) WHERE phase = 'serving';

-- What the first migration made is the first build of each projection.
INSERT INTO mp.projections (name, version, tables, table_names) VALUES
    ('archive', 1, 'mp', '{log_commits,log_events}'),
    ('commands', 1, 'mp', '{commands}'),
    ('directory', 1, 'mp', '{workspaces,principals,keys,projects}'),
    ('work', 1, 'mp', '{boards,tasks,task_links}'),
    ('sessions', 1, 'mp', '{sessions,session_lineage}'),
    ('channels', 1, 'mp', '{channels,messages,cursors}')
ON CONFLICT (name, build) DO UPDATE SET table_names = EXCLUDED.table_names;

-- The owner fills and compares builds. Row-level security is forced, also for an owner that is no superuser.
DO $$
DECLARE
    collection text;
BEGIN
    FOREACH collection IN ARRAY ARRAY[
        'log_events', 'commands', 'workspaces', 'principals', 'keys', 'projects', 'boards', 'tasks', 'task_links',
        'sessions', 'session_lineage', 'channels', 'messages', 'cursors'
    ] LOOP
        EXECUTE format('CREATE POLICY owner_mends ON mp.%I TO CURRENT_USER USING (true) WITH CHECK (true)', collection);
    END LOOP;
END $$;
