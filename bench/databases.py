"""The benchmark's own PostgreSQL: a throwaway cluster on this machine's disk, fsync on, sized for a server of its own."""

from __future__ import annotations

from pathlib import Path
from types import TracebackType

from tests.support.postgres import PostgresCluster, find_binaries

# What an operator would set on a server that holds one busy record; durability is never traded.
SETTINGS = {
    "shared_buffers": "512MB",
    "max_wal_size": "8GB",
    "checkpoint_timeout": "30min",
    "max_connections": "200",
}


class NoPostgres(Exception):
    """There is no PostgreSQL on this machine."""


class Databases:
    """Starts the cluster when the first database is asked for; removes it at the end. Use it in a `with`."""

    def __init__(self) -> None:
        self._cluster: PostgresCluster | None = None

    def __enter__(self) -> Databases:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._cluster is not None:
            self._cluster.close()

    def fresh(self) -> str:
        """Return the address of an empty database. Raises NoPostgres."""
        if self._cluster is None:
            binaries = find_binaries()
            if binaries is None:
                raise NoPostgres("no PostgreSQL was found on this machine (scripts/ensure_postgres.sh)")
            self._cluster = PostgresCluster(binaries, settings=SETTINGS)
        return self._cluster.dsn(self._cluster.create_database())

    def pid(self) -> int:
        """Return the process id of the server, whose children are its backends."""
        assert self._cluster is not None
        return int((Path(self._cluster.directory) / "data" / "postmaster.pid").read_text().split()[0])
