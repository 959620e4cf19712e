"""Opens sessions through asyncpg.Pool, with the password that is valid now."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import asyncpg

from app.db.counting.figures import Figures
from app.db.errors import DatabaseUnavailable, SessionStateRefused
from app.db.pool.connect_errors import connect_error, server_name
from app.db.pool.hosts import READ_ONLY, WRITABLE, Hosts
from app.db.pool.options import PoolOptions
from app.db.pool.password import Password, password_reader
from app.db.session.affinity import Affinity
from app.db.session.codecs import Codecs, set_codecs
from app.db.session.pgbouncer import PgBouncerSession
from app.db.session.session import Session
from app.db.session.session_options import SessionOptions
from app.db.sql.statement_timeout import answer_timeout

if TYPE_CHECKING:
    # Another class than this layer's Pool.
    from asyncpg.pool import Pool


class Connector:
    """Opens sessions. asyncpg.Pool does the opening and counting; when to open and close is this layer's decision."""

    def __init__(
        self,
        dsn: str,
        options: PoolOptions,
        *,
        password: Password | None,
        server_settings: Mapping[str, str],
        pgbouncer: bool,
        codecs: Codecs | None = None,
        figures: Figures | None = None,
    ) -> None:
        self.dsn = dsn
        self._codecs = codecs
        self._connect_timeout = options.connect_timeout
        self._hosts = Hosts(dsn)
        self._max_size = options.max_size
        self._arguments = _arguments(server_settings, password, pgbouncer=pgbouncer)
        self._session_options = SessionOptions(
            answer_timeout=answer_timeout(server_settings["statement_timeout"]),
            settings_of_transactions=_set_local(server_settings) if pgbouncer else "",
            needs_writable=self._hosts.target in WRITABLE,
            may_be_read_only=self._hosts.target in READ_ONLY,
            plans_generically=server_settings.get("plan_cache_mode") == "force_generic_plan",
            figures=figures or Figures(),
        )
        self._pool: Pool[asyncpg.Record] | None = None

    def __str__(self) -> str:
        return server_name(self.dsn)

    async def open(self, affinity: Affinity) -> Session:
        """Open a session of the pool. Raises DatabaseUnavailable, which names the server and says what to try."""
        try:
            self._pool = self._pool or await self._create_pool()
            proxy: Any = await self._pool.acquire(timeout=self._connect_timeout)
        except DatabaseUnavailable:
            raise
        except Exception as error:
            raise connect_error(self.dsn, error) from error
        session: Session = proxy.itself
        session.configure(self._session_options, affinity)
        return session

    async def open_alone(self) -> Session:
        """Open a session that is not the pool's: the caller closes it. Raises DatabaseUnavailable."""
        if self._arguments["connection_class"] is PgBouncerSession:
            raise SessionStateRefused("a PgBouncer in transaction mode delivers no notifications: connect past it")
        arguments = {name: value for name, value in self._arguments.items() if name != "statement_cache_size"}
        try:
            connection: Any = await self._hosts.connect(
                timeout=self._connect_timeout, command_timeout=self._session_options.answer_timeout, **arguments
            )
        except DatabaseUnavailable:
            raise
        except Exception as error:
            raise connect_error(self.dsn, error) from error
        return connection

    def prefer_writable(self) -> None:
        """If any of several hosts will do, connect to one that takes writes if there is one."""
        self._hosts.prefers_writable = True

    def terminate(self) -> None:
        """Close every session of the pool at once."""
        if self._pool is not None:
            self._pool.terminate()

    async def _connect(self, dsn: str | None = None, **arguments: Any) -> Any:
        return await self._hosts.connect(**arguments)

    async def _set_codecs(self, connection: Any) -> None:
        connection.codecs = self._codecs
        try:
            # In a transaction, so that behind PgBouncer the driver's questions about types stay in one session.
            async with connection.transaction():
                await set_codecs(connection, self._codecs)
        except ValueError as error:
            # asyncpg's, for a type that does not exist.
            raise DatabaseUnavailable(
                f"the codecs of a new connection to {server_name(self.dsn)} cannot be set: {error}; create the"
                " extension in this database, or mend the function that was given as `codecs`"
            ) from error

    async def _create_pool(self) -> "Pool[asyncpg.Record]":
        connect: Any = self._connect
        return await asyncpg.create_pool(
            self.dsn,
            min_size=0,
            max_size=self._max_size,
            max_inactive_connection_lifetime=0,
            max_queries=2**62,
            init=self._set_codecs,
            connect=connect,
            timeout=self._connect_timeout,
            **self._arguments,
        )


def merged_settings(
    application_name: str, statement_timeout: float, server_settings: Mapping[str, str] | None
) -> dict[str, str]:
    """Return the PostgreSQL parameters of each session; `statement_timeout` is in seconds. Raises ValueError."""
    limit = str(round(statement_timeout * 1000))
    settings = {"application_name": application_name, "statement_timeout": limit, **(server_settings or {})}
    # An invalid limit fails here, not with the first connection.
    answer_timeout(settings["statement_timeout"])
    return settings


def _arguments(server_settings: Mapping[str, str], password: Password | None, *, pgbouncer: bool) -> dict[str, Any]:
    """Return asyncpg's arguments for each connection."""
    connection_class = PgBouncerSession if pgbouncer else Session
    settings = dict(server_settings)
    if pgbouncer:
        # PgBouncer refuses parameters that it does not know when a client connects, and would lose the others.
        settings = {"application_name": settings["application_name"]}
    arguments: dict[str, Any] = {
        "server_settings": settings,
        "connection_class": connection_class,
        "statement_cache_size": connection_class.statement_cache_size,
    }
    if password is not None:
        arguments["password"] = password if isinstance(password, str) else password_reader(password)
    return arguments


def _set_local(settings: Mapping[str, str]) -> str:
    """Return SQL that sets these parameters for one transaction."""
    parameters = ((name, value) for name, value in settings.items() if name != "application_name")
    return "".join(f"set local {name} = '{value.replace(chr(39), chr(39) * 2)}';" for name, value in parameters)
