-- sessions: sessions and their lineages. Filled from the log first, then indexed.

CREATE TABLE {tables}.sessions (
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

CREATE TABLE {tables}.session_lineage (
    workspace_id text NOT NULL,
    ancestor_id text NOT NULL,
    descendant_id text NOT NULL,
    distance integer NOT NULL
);

-- AFTER THE FILL

CREATE INDEX sessions_in_order ON {tables}.sessions (workspace_id, created_seq);
CREATE INDEX sessions_by_root ON {tables}.sessions (workspace_id, root_id, created_seq);
CREATE INDEX sessions_by_parent ON {tables}.sessions (workspace_id, parent_id, created_seq) WHERE parent_id IS NOT NULL;
ALTER TABLE {tables}.session_lineage ADD PRIMARY KEY (workspace_id, descendant_id, ancestor_id);
CREATE INDEX session_lineage_downwards ON {tables}.session_lineage (workspace_id, ancestor_id, descendant_id);
