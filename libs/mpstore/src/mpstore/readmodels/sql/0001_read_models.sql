-- The read models: one table a collection, with the columns of the Row structs in mpschema.queries.
-- `created_seq` is the event that made the row: lists are ordered and paged by it. `last_seq` is the event that changed it last.
-- A table belongs to exactly one projection (see mpprojector.views), which alone writes it.

CREATE TABLE mp.projections (
    name text NOT NULL,
    version integer NOT NULL,
    -- The schema that holds this version's tables: `mp` serves, others are being built or kept for going back.
    tables text NOT NULL,
    position bigint NOT NULL DEFAULT 0,
    stream_seq bigint NOT NULL DEFAULT 0,
    hash text NOT NULL DEFAULT repeat('0', 64),
    head bigint NOT NULL DEFAULT 0,
    lag_events bigint NOT NULL DEFAULT 0,
    lag_seconds double precision NOT NULL DEFAULT 0,
    rate double precision NOT NULL DEFAULT 0,
    state text NOT NULL DEFAULT 'catching_up' CHECK (state IN ('live', 'catching_up', 'halted')),
    error text,
    -- The fence: who may move the position, until when by this server's clock, and how often that changed hands.
    owner text,
    owner_epoch bigint NOT NULL DEFAULT 0,
    lease_until timestamptz,
    updated_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (name, version)
) WITH (fillfactor = 20);

CREATE TABLE mp.projectors (
    node text PRIMARY KEY,
    lease_until timestamptz NOT NULL
) WITH (fillfactor = 20);

-- archive: every commit's exact bytes. A commit is its header, a newline, and its events' lines, each ended by a newline.

CREATE TABLE mp.log_commits (
    stream_seq bigint PRIMARY KEY,
    first_seq bigint NOT NULL,
    last_seq bigint NOT NULL UNIQUE,
    epoch bigint NOT NULL,
    subject text NOT NULL,
    header bytea NOT NULL,
    previous_hash text NOT NULL,
    hash text NOT NULL,
    committed_at timestamptz NOT NULL
);

CREATE TABLE mp.log_events (
    seq bigint PRIMARY KEY,
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
CREATE INDEX log_events_by_workspace ON mp.log_events (workspace_id, seq);
CREATE INDEX log_events_by_aggregate ON mp.log_events (workspace_id, aggregate_id, seq);

-- commands

CREATE TABLE mp.commands (
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
    decided_at timestamptz NOT NULL,
    PRIMARY KEY (workspace_id, id)
);
CREATE INDEX commands_in_order ON mp.commands (workspace_id, first_seq);
CREATE INDEX commands_by_key ON mp.commands (workspace_id, idempotency_key);

-- directory

CREATE TABLE mp.workspaces (
    workspace_id text PRIMARY KEY,
    name text NOT NULL,
    state text NOT NULL,
    owner text NOT NULL,
    version bigint NOT NULL,
    created_seq bigint NOT NULL,
    last_seq bigint NOT NULL,
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL
);

CREATE TABLE mp.principals (
    workspace_id text NOT NULL,
    id text NOT NULL,
    roles text[] NOT NULL,
    version bigint NOT NULL,
    created_seq bigint NOT NULL,
    last_seq bigint NOT NULL,
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL,
    PRIMARY KEY (workspace_id, id)
);
CREATE INDEX principals_in_order ON mp.principals (workspace_id, created_seq);
CREATE INDEX principals_by_id ON mp.principals (id);

CREATE TABLE mp.keys (
    workspace_id text NOT NULL,
    id text NOT NULL,
    principal_id text NOT NULL,
    key_hash text NOT NULL,
    created_seq bigint NOT NULL,
    last_seq bigint NOT NULL,
    created_at timestamptz NOT NULL,
    expires_at timestamptz,
    revoked_at timestamptz,
    PRIMARY KEY (workspace_id, id)
);
CREATE INDEX keys_by_id ON mp.keys (id);
CREATE INDEX keys_by_principal ON mp.keys (workspace_id, principal_id, created_seq);

CREATE TABLE mp.projects (
    workspace_id text NOT NULL,
    id text NOT NULL,
    name text NOT NULL,
    state text NOT NULL,
    repo text,
    default_branch text,
    labels text[] NOT NULL,
    version bigint NOT NULL,
    created_seq bigint NOT NULL,
    last_seq bigint NOT NULL,
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL,
    PRIMARY KEY (workspace_id, id)
);
CREATE INDEX projects_in_order ON mp.projects (workspace_id, created_seq);

-- work

CREATE TABLE mp.boards (
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
CREATE INDEX boards_in_order ON mp.boards (workspace_id, created_seq);

CREATE TABLE mp.tasks (
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
CREATE INDEX tasks_in_order ON mp.tasks (workspace_id, created_seq);
CREATE INDEX tasks_by_state ON mp.tasks (workspace_id, state, created_seq);
CREATE INDEX tasks_by_holder ON mp.tasks (workspace_id, holder, created_seq) WHERE holder IS NOT NULL;

CREATE TABLE mp.task_links (
    workspace_id text NOT NULL,
    task_id text NOT NULL,
    kind text NOT NULL,
    to_id text NOT NULL,
    created_seq bigint NOT NULL,
    PRIMARY KEY (workspace_id, task_id, kind, to_id)
);

-- sessions

CREATE TABLE mp.sessions (
    workspace_id text NOT NULL,
    id text NOT NULL,
    project_id text,
    task_id text,
    root_id text NOT NULL,
    parent_id text,
    depth integer NOT NULL,
    lineage text[] NOT NULL,
    state text NOT NULL,
    blueprint_name text NOT NULL,
    blueprint_version text NOT NULL,
    blueprint_digest text NOT NULL,
    purpose text NOT NULL,
    labels text[] NOT NULL,
    max_depth integer NOT NULL,
    max_children integer NOT NULL,
    result text NOT NULL,
    failure text,
    reason text NOT NULL,
    version bigint NOT NULL,
    created_seq bigint NOT NULL,
    last_seq bigint NOT NULL,
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL,
    PRIMARY KEY (workspace_id, id)
) WITH (fillfactor = 80);
CREATE INDEX sessions_in_order ON mp.sessions (workspace_id, created_seq);
CREATE INDEX sessions_by_root ON mp.sessions (workspace_id, root_id, created_seq);
CREATE INDEX sessions_by_parent ON mp.sessions (workspace_id, parent_id, created_seq) WHERE parent_id IS NOT NULL;

-- Every pair of a session and one above it; `distance` is 1 for a parent. A session is not its own ancestor.
CREATE TABLE mp.session_lineage (
    workspace_id text NOT NULL,
    ancestor_id text NOT NULL,
    descendant_id text NOT NULL,
    distance integer NOT NULL,
    PRIMARY KEY (workspace_id, descendant_id, ancestor_id)
);
CREATE INDEX session_lineage_downwards ON mp.session_lineage (workspace_id, ancestor_id, descendant_id);

-- channels

CREATE TABLE mp.channels (
    workspace_id text NOT NULL,
    id text NOT NULL,
    session_id text NOT NULL,
    scope text NOT NULL,
    name text NOT NULL,
    state text NOT NULL,
    messages bigint NOT NULL,
    version bigint NOT NULL,
    created_seq bigint NOT NULL,
    last_seq bigint NOT NULL,
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL,
    PRIMARY KEY (workspace_id, id)
) WITH (fillfactor = 50);
CREATE INDEX channels_in_order ON mp.channels (workspace_id, created_seq);
CREATE INDEX channels_by_session ON mp.channels (workspace_id, session_id, created_seq);

CREATE TABLE mp.messages (
    workspace_id text NOT NULL,
    channel_id text NOT NULL,
    message_seq bigint NOT NULL,
    kind text NOT NULL,
    body text NOT NULL,
    sender text NOT NULL,
    provenance text NOT NULL,
    session_id text,
    reply_to bigint,
    reply_by timestamptz,
    reply_overdue boolean NOT NULL,
    posted_at timestamptz NOT NULL,
    last_seq bigint NOT NULL,
    PRIMARY KEY (workspace_id, channel_id, message_seq)
);

CREATE TABLE mp.cursors (
    workspace_id text NOT NULL,
    channel_id text NOT NULL,
    reader text NOT NULL,
    cursor bigint NOT NULL,
    PRIMARY KEY (workspace_id, channel_id, reader)
) WITH (fillfactor = 50);

-- Who may do what. The projector alone writes; the gateway reads, one workspace at a time.

GRANT USAGE ON SCHEMA mp TO mp_projector, mp_gateway;
GRANT SELECT ON mp.schema_migrations TO mp_projector, mp_gateway;
GRANT SELECT, INSERT, UPDATE ON mp.projections TO mp_projector;
GRANT SELECT, INSERT, UPDATE, DELETE ON mp.projectors TO mp_projector;
GRANT SELECT, INSERT ON mp.log_commits TO mp_projector;
GRANT SELECT ON mp.projections TO mp_gateway;

DO $$
DECLARE
    collection text;
BEGIN
    FOREACH collection IN ARRAY ARRAY[
        'log_events', 'commands', 'workspaces', 'principals', 'keys', 'projects', 'boards', 'tasks', 'task_links',
        'sessions', 'session_lineage', 'channels', 'messages', 'cursors'
    ] LOOP
        EXECUTE format('ALTER TABLE mp.%I ENABLE ROW LEVEL SECURITY', collection);
        EXECUTE format('ALTER TABLE mp.%I FORCE ROW LEVEL SECURITY', collection);
        EXECUTE format('CREATE POLICY projector_folds ON mp.%I TO mp_projector USING (true) WITH CHECK (true)', collection);
        EXECUTE format(
            'CREATE POLICY one_workspace ON mp.%I FOR SELECT TO mp_gateway '
            'USING (workspace_id = current_setting(''mp.workspace'', true))', collection);
        EXECUTE format('GRANT SELECT ON mp.%I TO mp_gateway', collection);
        EXECUTE format('GRANT SELECT, INSERT, UPDATE, DELETE ON mp.%I TO mp_projector', collection);
    END LOOP;
END $$;
REVOKE UPDATE, DELETE ON mp.log_events FROM mp_projector;

-- Before the workspace is known: a principal sees its own memberships and the workspaces they name; a key is looked up by its id.
CREATE POLICY own_memberships ON mp.principals FOR SELECT TO mp_gateway
    USING (id = current_setting('mp.principal', true));
CREATE POLICY own_workspaces ON mp.workspaces FOR SELECT TO mp_gateway
    USING (workspace_id IN (
        SELECT membership.workspace_id FROM mp.principals AS membership
        WHERE membership.id = current_setting('mp.principal', true) AND membership.roles <> '{}'
    ));
CREATE POLICY one_key ON mp.keys FOR SELECT TO mp_gateway
    USING (id = current_setting('mp.key_id', true));
