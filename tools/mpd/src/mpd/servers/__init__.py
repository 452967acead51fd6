"""The real NATS, Postgres and Valkey, from their wheels, as child processes of ours."""

from mpd.process import ServerFailed
from mpd.servers.nats import NatsCluster, NatsServer
from mpd.servers.postgres import PostgresServer
from mpd.servers.valkey import ValkeyServer

__all__ = ["NatsCluster", "NatsServer", "PostgresServer", "ServerFailed", "ValkeyServer"]
