"""The HTTP door: commands in, queries out of Postgres, events out by SSE and WebSocket."""
