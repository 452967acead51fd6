"""The settings of a relay, read once at the start."""

from mpservice.settings import OpsSettings


class RelaySettings(OpsSettings):
    """The environment variables of a relay, each with the prefix `MP_`: those of every service."""
