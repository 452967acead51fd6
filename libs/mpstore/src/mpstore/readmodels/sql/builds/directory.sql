-- directory: workspaces, who may act in them, their keys and projects. Run once they are filled from the log.

CREATE INDEX principals_by_id ON {tables}.principals (id);
CREATE INDEX keys_by_id ON {tables}.keys (id);
CREATE INDEX keys_by_principal ON {tables}.keys (workspace_id, principal_id, created_seq);

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
