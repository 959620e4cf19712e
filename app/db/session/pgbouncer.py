"""Optional: sessions behind a PgBouncer in transaction mode, where each transaction may run in another session."""

from collections.abc import Iterable, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Any

import asyncpg

from app.db.binding.query import Query
from app.db.errors import SessionStateRefused
from app.db.session.prepared import Prepared
from app.db.session.session import Session
from app.db.session.transaction import in_transaction
from app.db.sql.effects import is_one_statement
from app.db.sql.session_state import session_state


class PgBouncerSession(Session):
    """A session that keeps everything within transactions: it prepares nothing for later and needs no reset.

    A statement that would leave something in the session is refused, because another client would find it there.
    """

    # With 0 asyncpg uses unnamed prepared statements, which another client of the session cannot find.
    statement_cache_size = 0
    # A statement is parsed for each run and always planned for its arguments.
    plans_first = False

    async def run_query(self, query: Query, arguments: tuple[object, ...], ends: float | None = None) -> list[Any]:
        """Run a named statement, parsed and executed in one transaction."""
        self.refuse_misuse(query.function)
        async with in_transaction(self):
            return await super().run_query(query, arguments, ends)

    async def prepare_query(self, query: Query, ends: float | None = None) -> Prepared:
        """Prepare a named statement for one run. Raises SessionStateRefused when it changes the session."""
        _refuse_session_state(query.text)
        prepared = await super().prepare_query(query, ends)
        self.forget_query(query)
        return prepared

    def get_reset_query(self) -> str:
        """Return nothing: the next transaction may run in another session."""
        return ""

    async def execute(self, query: str, *args: object, timeout: float | None = None) -> str:
        """asyncpg's, in one session and with the pool's settings."""
        _refuse_session_state(query)
        if self.is_in_transaction():
            return await super().execute(query, *args, timeout=timeout)
        if not args:
            return await self._execute_alone(query, timeout)
        async with in_transaction(self):
            return await super().execute(query, *args, timeout=timeout)

    async def _execute_alone(self, sql: str, timeout: float | None) -> str:
        """Send the settings in the same text, which is one transaction, so that SET LOCAL lasts until its end.

        A statement that cannot run in a transaction, such as VACUUM or a procedure with COMMIT, runs without them.
        """
        settings = self.options.settings_of_transactions
        try:
            return await super().execute(settings + sql, timeout=timeout)
        except (asyncpg.ActiveSQLTransactionError, asyncpg.InvalidTransactionTerminationError):
            # A single statement was undone as a whole. Several would have failed without the settings as well, and a
            # COMMIT among them may have stored the first ones.
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
        async with self._transaction_for(command):
            await super().executemany(command, args, timeout=timeout)

    async def fetch(self, query: str, *args: object, **options: Any) -> list[asyncpg.Record]:
        """asyncpg's, in one session."""
        async with self._transaction_for(query):
            return await super().fetch(query, *args, **options)

    async def fetchrow(self, query: str, *args: object, **options: Any) -> asyncpg.Record | None:
        """asyncpg's, in one session."""
        async with self._transaction_for(query):
            return await super().fetchrow(query, *args, **options)

    async def fetchval(self, query: str, *args: object, **options: Any) -> Any:
        """asyncpg's, in one session."""
        async with self._transaction_for(query):
            return await super().fetchval(query, *args, **options)

    async def _introspect_types(self, *args: Any) -> Any:
        # asyncpg's own turns jit off and on again with SET, which would replace a SET LOCAL of the transaction.
        driver: Any = super()
        if not self.is_in_transaction():
            return await driver._introspect_types(*args)
        await driver.execute("savepoint types")
        found = await driver._introspect_types(*args)
        await driver.execute("rollback to types; release types")
        return found

    def _transaction_for(self, sql: str) -> AbstractAsyncContextManager[None]:
        """Return a transaction for a block. Raises SessionStateRefused when `sql` changes the session."""
        _refuse_session_state(sql)
        return in_transaction(self)


def _refuse_session_state(sql: str) -> None:
    if state := session_state(sql):
        raise SessionStateRefused(
            f"{state} would stay in a session that PgBouncer lends to others after this transaction; "
            "use SET LOCAL and pg_advisory_xact_lock(), or connect past PgBouncer"
        )
