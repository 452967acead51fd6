-- channels: channels, their messages, and how far each reader has read. Filled from the log first, then indexed.

CREATE TABLE {tables}.channels (
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

CREATE TABLE {tables}.messages (
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

CREATE TABLE {tables}.cursors (
    workspace_id text NOT NULL,
    channel_id text NOT NULL,
    reader text NOT NULL,
    cursor bigint NOT NULL,
    PRIMARY KEY (workspace_id, channel_id, reader)
) WITH (fillfactor = 50);

-- AFTER THE FILL

CREATE INDEX channels_in_order ON {tables}.channels (workspace_id, created_seq);
CREATE INDEX channels_by_session ON {tables}.channels (workspace_id, session_id, created_seq);
