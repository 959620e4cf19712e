"""Opens connections, through asyncpg.Pool, with the password of the moment."""

import inspect
import random
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from time import monotonic
from typing import TYPE_CHECKING, Any

import asyncpg

from app.db.codecs import Codecs, set_codecs
from app.db.drift import Type
from app.db.errors import DatabaseUnavailable, SessionStateRefused
from app.db.hosts import Hosts
from app.db.options import PoolOptions
from app.db.patience import patience
from app.db.pgbouncer import BouncedConnection
from app.db.queries import Query
from app.db.server import connect_error, server_name
from app.db.server_connection import ServerConnection

if TYPE_CHECKING:
    from asyncpg.pool import Pool

Password = str | Path | Callable[[], str | Awaitable[str]]
# So that connections opened together do not all end, and open again, together.
_LIFETIME_JITTER = 0.1


class Opener:
    """asyncpg's pool, told to keep nothing by itself: the lease decides when connections open and close."""

    def __init__(
        self,
        dsn: str,
        options: PoolOptions,
        *,
        password: Password | None,
        server_settings: Mapping[str, str],
        pgbouncer: bool,
        codecs: Codecs | None = None,
    ) -> None:
        self.dsn = dsn
        self._codecs = codecs
        self._options = options
        self._hosts = Hosts(dsn)
        connection_class = BouncedConnection if pgbouncer else ServerConnection
        self._arguments: dict[str, Any] = {
            "server_settings": dict(server_settings),
            "connection_class": connection_class,
            "statement_cache_size": connection_class.statement_cache_size,
        }
        self.patience = patience(server_settings["statement_timeout"])
        self._settings_of_transactions = ""
        self._column_types: dict[Query, dict[str, Type]] = {}
        self._planned: set[str] = set()
        self._plans_generically = server_settings.get("plan_cache_mode") == "force_generic_plan"
        if pgbouncer:
            # PgBouncer refuses settings that it does not know when a client connects, and would lose the others.
            name = self._arguments["server_settings"].pop("application_name")
            self._settings_of_transactions = _set_local(self._arguments["server_settings"])
            self._arguments["server_settings"] = {"application_name": name}
        if password is not None:
            self._arguments["password"] = password if isinstance(password, str) else _reader(password)
        self._pool: Pool[asyncpg.Record] | None = None

    async def open(self) -> ServerConnection:
        """A new connection; DatabaseUnavailable says which server and what to try."""
        try:
            self._pool = self._pool or await self._create_pool()
            proxy: Any = await self._pool.acquire(timeout=self._options.connect_timeout)
        except DatabaseUnavailable:
            raise
        except Exception as error:
            raise connect_error(self.dsn, error) from error
        server: ServerConnection = proxy.itself
        # What was set up so far is how each connection begins.
        server.dirty = server.beyond_reset = False
        server.expires = monotonic() + self._options.max_lifetime * (1 - random.random() * _LIFETIME_JITTER)  # noqa: S311 - no secret
        server.settings_of_transactions = self._settings_of_transactions
        server.column_types = self._column_types
        server.planned = self._planned
        server.plans_first = server.plans_first and not self._plans_generically
        server.patience = server.usual_patience = self.patience
        server.target = self._hosts.target
        return server

    async def open_alone(self) -> ServerConnection:
        """A new connection that does not count as the pool's and is its caller's to close; DatabaseUnavailable."""
        if self._arguments["connection_class"] is BouncedConnection:
            raise SessionStateRefused("a PgBouncer in transaction mode delivers no notifications: connect past it")
        arguments = {name: value for name, value in self._arguments.items() if name != "statement_cache_size"}
        try:
            connection: Any = await self._hosts.connect(
                timeout=self._options.connect_timeout, command_timeout=self.patience, **arguments
            )
        except DatabaseUnavailable:
            raise
        except Exception as error:
            raise connect_error(self.dsn, error) from error
        return connection

    def terminate(self) -> None:
        """Close every connection at once."""
        if self._pool is not None:
            self._pool.terminate()

    async def _connect(self, dsn: str | None = None, **arguments: Any) -> Any:
        return await self._hosts.connect(**arguments)

    async def _set_codecs(self, connection: Any) -> None:
        connection.codecs = self._codecs
        try:
            # In a transaction, so that behind PgBouncer the driver's look at the types stays in one session.
            async with connection.transaction():
                await set_codecs(connection, self._codecs)
        except ValueError as error:
            # asyncpg's, for a type that is not there.
            raise DatabaseUnavailable(
                f"the codecs of a new connection to {server_name(self.dsn)} cannot be set: {error}; create the"
                " extension in this database, or mend the function that was given as `codecs`"
            ) from error

    async def _create_pool(self) -> "Pool[asyncpg.Record]":
        connect: Any = self._connect
        return await asyncpg.create_pool(
            self.dsn,
            min_size=0,
            max_size=self._options.max_size,
            max_inactive_connection_lifetime=0,
            max_queries=2**62,
            init=self._set_codecs,
            connect=connect,
            timeout=self._options.connect_timeout,
            **self._arguments,
        )


def _set_local(settings: Mapping[str, str]) -> str:
    """These settings for one transaction, as one text."""
    return "".join(f"set local {name} = '{value.replace(chr(39), chr(39) * 2)}';" for name, value in settings.items())


def _reader(password: Path | Callable[[], str | Awaitable[str]]) -> Callable[[], Awaitable[str]]:
    """Reads the password anew for each connection."""

    async def read() -> str:
        if isinstance(password, Path):
            return _first_line(password)
        value = password()
        return await value if inspect.isawaitable(value) else value

    return read


def _first_line(file: Path) -> str:
    try:
        return file.read_text().partition("\n")[0]
    except OSError as error:
        raise DatabaseUnavailable(f"cannot read the password from {file}: {error.strerror}") from error
