"""Where a server keeps federations, hosts, rounds, transitions and the index of models."""

from tactful_server.store.sql import SqlStore

__all__ = ["SqlStore"]
