"""The part common to all services: settings, the ops door, telemetry, life cycle, and the descriptor of each."""
