-- sessions: sessions, their lineages, and sweeps. Run once they are filled from the log.

CREATE INDEX sessions_by_root ON {tables}.sessions (workspace_id, root_id, created_seq);
CREATE INDEX sessions_by_parent ON {tables}.sessions (workspace_id, parent_id, created_seq) WHERE parent_id IS NOT NULL;
CREATE INDEX session_lineage_downwards ON {tables}.session_lineage (workspace_id, ancestor_id, descendant_id);
CREATE INDEX sweeps_running ON {tables}.sweeps (workspace_id) WHERE state = 'running';
