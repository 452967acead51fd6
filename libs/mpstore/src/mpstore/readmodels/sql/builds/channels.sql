-- channels: channels, their messages, and how far each reader has read. Run once they are filled from the log.

CREATE INDEX channels_by_session ON {tables}.channels (workspace_id, session_id, created_seq);
