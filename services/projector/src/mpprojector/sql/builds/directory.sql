-- directory: workspaces, who may act in them, their keys and projects. Filled from the log first, then indexed.

CREATE TABLE {tables}.workspaces (
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

CREATE TABLE {tables}.principals (
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

CREATE TABLE {tables}.keys (
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

CREATE TABLE {tables}.projects (
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

-- AFTER THE FILL

CREATE INDEX principals_in_order ON {tables}.principals (workspace_id, created_seq);
CREATE INDEX principals_by_id ON {tables}.principals (id);
CREATE INDEX keys_by_id ON {tables}.keys (id);
CREATE INDEX keys_by_principal ON {tables}.keys (workspace_id, principal_id, created_seq);
CREATE INDEX projects_in_order ON {tables}.projects (workspace_id, created_seq);

-- Before the workspace is known: a principal sees its own memberships and the workspaces they name; a key is looked up by its id.
CREATE POLICY own_memberships ON {tables}.principals FOR SELECT TO mp_gateway
    USING (id = current_setting('mp.principal', true));
CREATE POLICY own_workspaces ON {tables}.workspaces FOR SELECT TO mp_gateway
    USING (workspace_id IN (
        SELECT membership.workspace_id FROM {tables}.principals AS membership
        WHERE membership.id = current_setting('mp.principal', true) AND membership.roles <> '{}'
    ));
CREATE POLICY one_key ON {tables}.keys FOR SELECT TO mp_gateway
    USING (id = current_setting('mp.key_id', true));
