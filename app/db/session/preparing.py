"""Prepares named statements, keeps them, and drops them when a migration has made them outdated."""

from typing import Any

import asyncpg

from app.db.binding.generic_plan import REFUSED, is_refusal, mend
from app.db.binding.query import Query
from app.db.counting.figures import Figures
from app.db.session.driver import seconds_until
from app.db.session.outdated import (
    is_fault_of_text,
    may_change_in_place,
    refused_as_outdated,
    refused_by_driver,
    unknown_type,
)
from app.db.session.prepared import Prepared, refuse_changed_types
from app.db.session.statement_cache import CURRENT_PATH, StatementCache
from app.db.session.typed import TypedConnection
from app.db.sql.search_path import may_change_path


class PreparingConnection(TypedConnection):
    """A connection that keeps all named statements prepared, beside asyncpg's own cache of raw ones.

    `prepared` has those that are valid on the present search path.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._cache = StatementCache()
        self.prepared = self._cache.usual
        self._path_is_known = True
        self.column_types: dict[Query, dict[str, asyncpg.Type]] = {}
        self.figures = Figures()

    async def prepare_query(self, query: Query, ends: float | None = None) -> Prepared:
        """Prepare a named statement.

        Raises BindingError when the server does not understand it or its types do not match the signature.
        """
        if self.prepared is not self._cache.usual and (found := await self._find_prepared(query, ends)):
            return found
        prepared = await self._prepare_now(query, ends)
        if not prepared.depends_on_path:
            self._cache.usual[query] = prepared
        elif not self._path_is_known:
            if may_change_path(query.text):
                # It may set another search path than the one it was prepared for.
                return prepared
            await self._ask_path(ends)
        self.prepared[query] = prepared
        return prepared

    async def _find_prepared(self, query: Query, ends: float | None) -> Prepared | None:
        """Return the statement if it is prepared for every search path or for the present one."""
        found = self._cache.usual.get(query)
        if found and found.depends_on_path:
            if self._path_is_known or may_change_path(query.text):
                return None
            await self._ask_path(ends)
            return self.prepared.get(query)
        if found:
            self.prepared[query] = found
        return found

    async def _ask_path(self, ends: float | None) -> None:
        self.prepared = self._cache.of(await self.fetchval(CURRENT_PATH, timeout=seconds_until(ends)))
        self._path_is_known = True

    def path_may_have_changed(self) -> None:
        """Trust no statement whose types depend on the search path until the path is known again."""
        self.prepared, self._path_is_known = {}, False
        self.drop_raw_statements()

    def path_is_usual(self) -> None:
        """Record that the search path is that of a new session again."""
        if self.prepared is not self._cache.usual:
            self.prepared, self._path_is_known = self._cache.usual, True
            self.drop_raw_statements()

    @property
    def has_usual_path(self) -> bool:
        """Whether no SQL text has set the search path."""
        return self.prepared is self._cache.usual

    async def _prepare_now(self, query: Query, ends: float | None) -> Prepared:
        self._naming = query.text
        try:
            statement = await self.prepare(query.text, timeout=seconds_until(ends))
        except asyncpg.PostgresError as error:
            if is_fault_of_text(error):
                raise query.refused(error) from error
            raise
        finally:
            self._naming = None
        if query.text not in self.planned:
            await self._plan_statement(query, len(statement.get_parameters()), ends)
        await refuse_changed_types(self, self.column_types, query, statement.get_attributes())
        types = [*statement.get_parameters(), *(column.type for column in statement.get_attributes())]
        figures = self.figures.of_query(query)
        return Prepared(statement, query, self._protocol, await self.type_infos_of(types), figures)

    async def _plan_statement(self, query: Query, parameters: int, ends: float | None) -> None:
        try:
            await self.plan_generically(query.text, query.statement.keyword, parameters, seconds_until(ends))
        except asyncpg.PostgresError as error:
            if not is_refusal(error):
                raise
            raise query.fault(f"{REFUSED}: {error.message}; {mend(error)}") from error

    async def is_better_prepared(self, error: Exception, query: Query, ends: float | None) -> bool:
        """Return whether outdated types may have caused the error and the statement can run now, with new ones."""
        if isinstance(error, asyncpg.OutdatedSchemaCacheError):
            # A composite type changed. The statement ran: it must not run again if it may have written.
            await self.forget_types()
            return query.reads_only
        if number := unknown_type(error):
            await self.learn_type(number)
            return query.reads_only
        if refused_as_outdated(error):
            await self.forget_types()
            # Preparing again does not help in the transaction that this error aborted, nor in a procedure with COMMIT.
            return not self.is_in_transaction() and query.statement.keyword != "call"
        before = self.prepared.get(query)
        if before is None or not refused_by_driver(error):
            return False
        if may_change_in_place(before.types):
            await self.forget_types()
            return True
        # Nothing was sent, so it can be prepared again even in a transaction.
        return (await self.prepare_query(query, ends)).types != before.types

    async def forget_types(self) -> None:
        """Drop what is cached of types and statements, on this connection and asyncpg's part of it on all others."""
        self.prepared.clear()
        self._cache.clear()
        self.planned.clear()
        await self.reload_schema_state()

    def forget_query(self, query: Query) -> None:
        """Drop one statement, so that it is prepared again at its next use."""
        self.prepared.pop(query, None)
        self._cache.forget(query)

    def forget_statements(self) -> None:
        """Drop what is cached of statements, because the session does not have them any more."""
        self.prepared.clear()
        self._cache.clear()
        self.drop_raw_statements()
