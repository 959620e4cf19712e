"""Connections through a PgBouncer in transaction mode, where every transaction may run in another session."""

from collections.abc import Iterable, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Any

import asyncpg

from app.db.effects import is_one_statement, session_state
from app.db.errors import SessionStateRefused
from app.db.prepared import Prepared
from app.db.queries import Query
from app.db.server_connection import ServerConnection


class BouncedConnection(ServerConnection):
    """A connection that keeps within transactions: nothing is prepared for later, and nothing needs to be reset.

    A statement that would leave something in the session is refused, since someone else would find it there.
    """

    # Then asyncpg gives its prepared statements no name under which another client of the session could find them.
    statement_cache_size = 0
    # Parsed for each run, a statement is always planned for its arguments.
    plans_first = False

    async def run_query(self, query: Query, arguments: tuple[object, ...], ends: float | None = None) -> list[Any]:
        """Run a named statement, parsing and executing it in one transaction."""
        self.refuse_misuse(query.function)
        async with self.one_session():
            return await super().run_query(query, arguments, ends)

    async def prepare_query(self, query: Query, ends: float | None = None) -> Prepared:
        """Prepare a named statement for this one time; SessionStateRefused where it would outlive its transaction."""
        _refuse_session_state(query.text)
        prepared = await super().prepare_query(query, ends)
        self.forget_query(query)
        return prepared

    def get_reset_query(self) -> str:
        """Nothing: the next transaction may be in another session."""
        return ""

    async def execute(self, query: str, *args: object, timeout: float | None = None) -> str:
        """asyncpg's, in one session and with the pool's settings."""
        _refuse_session_state(query)
        if self.is_in_transaction():
            return await super().execute(query, *args, timeout=timeout)
        if not args:
            return await self._execute_alone(query, timeout)
        async with self.one_session():
            return await super().execute(query, *args, timeout=timeout)

    async def _execute_alone(self, sql: str, timeout: float | None) -> str:
        """Several statements in one text are a transaction by themselves: SET LOCAL holds until its end.

        What refuses to run in a transaction, such as VACUUM or a procedure with a COMMIT, runs without the settings.
        """
        settings = self.settings_of_transactions
        try:
            return await super().execute(settings + sql, timeout=timeout)
        except (asyncpg.ActiveSQLTransactionError, asyncpg.InvalidTransactionTerminationError):
            # PostgreSQL knows best which those are, and of one statement it undid all. Several would have refused
            # without the settings as well, and a COMMIT among them may have kept the first.
            if not is_one_statement(sql):
                raise
        except asyncpg.PostgresError as error:
            if error.position is not None:
                error.position = str(int(error.position) - len(settings))
            raise
        return await super().execute(sql, timeout=timeout)

    async def executemany(
        self, command: str, args: Iterable[Sequence[object]], *, timeout: float | None = None
    ) -> None:
        """asyncpg's, in one session."""
        async with self._one_session(command):
            await super().executemany(command, args, timeout=timeout)

    async def fetch(self, query: str, *args: object, **options: Any) -> list[asyncpg.Record]:
        """asyncpg's, in one session."""
        async with self._one_session(query):
            return await super().fetch(query, *args, **options)

    async def fetchrow(self, query: str, *args: object, **options: Any) -> asyncpg.Record | None:
        """asyncpg's, in one session."""
        async with self._one_session(query):
            return await super().fetchrow(query, *args, **options)

    async def fetchval(self, query: str, *args: object, **options: Any) -> Any:
        """asyncpg's, in one session."""
        async with self._one_session(query):
            return await super().fetchval(query, *args, **options)

    async def _introspect_types(self, *args: Any) -> Any:
        # asyncpg's own turns jit off in its session, and on again only where it was on: SET LOCAL would become SET.
        driver: Any = super()
        if not self.is_in_transaction():
            return await driver._introspect_types(*args)
        await driver.execute("savepoint types")
        found = await driver._introspect_types(*args)
        await driver.execute("rollback to types; release types")
        return found

    def _one_session(self, sql: str) -> AbstractAsyncContextManager[None]:
        """one_session(); SessionStateRefused where `sql` would leave something in the session."""
        _refuse_session_state(sql)
        return self.one_session()


def _refuse_session_state(sql: str) -> None:
    if state := session_state(sql):
        raise SessionStateRefused(
            f"{state} would stay in a session that PgBouncer lends to others after this transaction; "
            "use SET LOCAL and pg_advisory_xact_lock(), or connect past PgBouncer"
        )
