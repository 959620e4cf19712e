"""What a connection keeps of types and statements, and how it drops that once a migration has made it wrong."""

from collections.abc import Awaitable, Iterable, Mapping
from typing import Any

import asyncpg
from asyncpg.prepared_stmt import PreparedStatement

from app.db.codecs import Codecs, DriverConnection, know_builtin_types, set_codecs
from app.db.deadline import seconds_until
from app.db.drift import Type, refuse_changed_types
from app.db.generic import REFUSED, generic_explain, is_refusal, is_refused_at_run, is_suspicious, mend
from app.db.outdated import (
    may_change_in_place,
    refused_as_outdated,
    refused_by_driver,
    unknown_type,
)
from app.db.prepared import Prepared
from app.db.queries import Query
from app.db.search_path import CURRENT_PATH, StatementsByPath, may_change_path
from app.db.shapes import Shape, is_own_compound, load_shapes

# How many texts are remembered to have a plan; raw SQL may differ every time.
_KNOWN_PLANS = 10_000


class CachingConnection(DriverConnection):
    """asyncpg's connection; named statements are kept beside its own cache, all of them.

    The private methods of asyncpg's that it overrides or calls are kept true by the pinned version range and by
    tests/db/test_outdated.py. `planned` are the texts that are known to have a plan for any arguments, of all
    connections of a pool.
    """

    plans_first = True
    """Whether a statement needs a look at its plan for any arguments: not where each run, or none, is planned so."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._by_path = StatementsByPath()
        self.prepared = self._by_path.usual
        self._path_is_known = True
        self.column_types: dict[Query, dict[str, Type]] = {}
        self.planned: set[str] = set()
        self._shapes: dict[int, Shape] = {}
        self._naming: str | None = None
        self.codecs: Codecs | None = None
        self._codecs_are_due = False

    async def prepare_query(self, query: Query, ends: float | None = None) -> Prepared:
        """Prepare a named statement; BindingError where the server does not understand it or its columns do not fit."""
        if self.prepared is not self._by_path.usual and (found := await self._find_prepared(query, ends)):
            return found
        prepared = await self._prepare_anew(query, ends)
        if not prepared.depends_on_path:
            self._by_path.usual[query] = prepared
        elif not self._path_is_known:
            if may_change_path(query.text):
                # What it is prepared for may be over once it has run.
                return prepared
            await self._know_path(ends)
        self.prepared[query] = prepared
        return prepared

    async def _find_prepared(self, query: Query, ends: float | None) -> Prepared | None:
        """The statement if it was prepared before, for any search path or for the present one."""
        found = self._by_path.usual.get(query)
        if found and found.depends_on_path:
            if self._path_is_known or may_change_path(query.text):
                return None
            await self._know_path(ends)
            return self.prepared.get(query)
        if found:
            self.prepared[query] = found
        return found

    async def _know_path(self, ends: float | None) -> None:
        self.prepared = self._by_path.of(await self.fetchval(CURRENT_PATH, timeout=seconds_until(ends)))
        self._path_is_known = True

    def path_may_have_changed(self) -> None:
        """Take no statement for right whose types depend on the search path, before it was looked at."""
        driver: Any = self
        self.prepared, self._path_is_known = {}, False
        driver._drop_local_statement_cache()

    def path_is_usual(self) -> None:
        """The search path is that of a new session again."""
        if self.prepared is not self._by_path.usual:
            driver: Any = self
            self.prepared, self._path_is_known = self._by_path.usual, True
            driver._drop_local_statement_cache()

    @property
    def has_usual_path(self) -> bool:
        """Whether nothing has set the search path, as far as texts say."""
        return self.prepared is self._by_path.usual

    async def _prepare_anew(self, query: Query, ends: float | None) -> Prepared:
        self._naming = query.text
        try:
            statement = await self.prepare(query.text, timeout=seconds_until(ends))
        except asyncpg.PostgresError as error:
            # A literal that is no value of its type, such as 'x'::int, is a DataError, and it has a position, too.
            if not isinstance(error, asyncpg.SyntaxOrAccessError) and error.position is None:
                raise
            raise query.refused(error) from error
        finally:
            self._naming = None
        if query.text not in self.planned:
            await self._plan_statement(query, len(statement.get_parameters()), ends)
        await refuse_changed_types(self, self.column_types, query, statement.get_attributes())
        types = [*statement.get_parameters(), *(column.type for column in statement.get_attributes())]
        return Prepared(statement, query, self._protocol, await self.shapes_of(types))

    async def _plan_statement(self, query: Query, parameters: int, ends: float | None) -> None:
        """Let the server plan a named statement for any arguments; BindingError where it refuses to."""
        try:
            await self._plan(query.text, query.statement.keyword, parameters, seconds_until(ends))
        except asyncpg.PostgresError as error:
            if not is_refusal(error):
                raise
            raise query.fault(f"{REFUSED}: {error.message}; {mend(error)}") from error

    async def _plan(self, sql: str, keyword: str, parameters: int, timeout: float | None) -> None:
        explain = generic_explain(sql, keyword, parameters, self.get_server_version().major)
        if explain and self.plans_first:
            await super().execute(explain, timeout=timeout)
        if len(self.planned) > _KNOWN_PLANS:
            self.planned.clear()
        self.planned.add(sql)

    async def shapes_of(self, types: Iterable[asyncpg.Type]) -> Mapping[int, Shape]:
        """The shapes of what is known so far, those of these types among them."""
        if unknown := [each for each in types if is_own_compound(each) and each.oid not in self._shapes]:
            self._shapes |= await load_shapes(self, unknown)
        return self._shapes

    async def is_better_prepared(self, error: Exception, query: Query, ends: float | None) -> bool:
        """Whether the error may come of outdated types, and the statement can run now that those are forgotten."""
        if isinstance(error, asyncpg.OutdatedSchemaCacheError):
            # A composite type changed. The statement ran: not again if it may have written.
            await self.forget_types()
            return query.reads_only
        if number := unknown_type(error):
            await self._learn_type(number)
            return query.reads_only
        if refused_as_outdated(error):
            await self.forget_types()
            # Preparing again does not help inside the transaction that this ended, nor where a procedure commits.
            return not self.is_in_transaction() and query.statement.keyword != "call"
        before = self.prepared.get(query)
        if before is None or not refused_by_driver(error):
            return False
        if may_change_in_place(before.types):
            await self.forget_types()
            return True
        # Nothing was sent, so that it can be prepared again even in a transaction.
        return (await self.prepare_query(query, ends)).types != before.types

    async def forget_types(self) -> None:
        """Drop what is cached of types and statements, on this connection and asyncpg's part of it on all of them."""
        self.prepared.clear()
        self._by_path.clear()
        self.planned.clear()
        await self.reload_schema_state()

    def forget_query(self, query: Query) -> None:
        """Drop one statement, so that whoever asks next prepares it anew."""
        self.prepared.pop(query, None)
        self._by_path.forget(query)

    def _drop_local_type_cache(self) -> None:
        driver: Any = super()
        driver._drop_local_type_cache()
        self._shapes.clear()
        know_builtin_types(self)
        # An extension that was created anew has other types.
        self._codecs_are_due = self.codecs is not None

    async def set_codecs_again(self) -> None:
        """Set the codecs of extension types for the types that there are now."""
        self._codecs_are_due = False
        try:
            await set_codecs(self, self.codecs)
        except Exception as error:
            self._codecs_are_due = True
            error.add_note("in the function that was given to the Database as `codecs`")
            raise

    async def _prepare(self, query: str, *, use_cache: bool = False, **options: Any) -> Any:
        """asyncpg's, always anew: its COPY, which alone asks for the cache, would go on with a column's former type."""
        driver: Any = super()
        if self._codecs_are_due:
            await self.set_codecs_again()
        prepared: PreparedStatement[asyncpg.Record] = await driver._prepare(query, **options)
        if use_cache and may_change_in_place(column.type for column in prepared.get_attributes()):
            self._drop_local_type_cache()
            prepared = await driver._prepare(query, **options)
        return prepared

    def _execute(self, *args: Any, **options: Any) -> Awaitable[Any]:
        """asyncpg's, for raw SQL; codecs that are due are set first."""
        return (
            self._execute_with_codecs(*args, **options) if self._codecs_are_due else self._execute_now(*args, **options)
        )

    def _execute_now(self, *args: Any, **options: Any) -> Awaitable[Any]:
        driver: Any = super()
        return driver._execute(*args, **options)

    async def _execute_with_codecs(self, *args: Any, **options: Any) -> Any:
        await self.set_codecs_again()
        return await self._execute_now(*args, **options)

    async def _get_statement(self, query: str, timeout: float | None, **options: Any) -> Any:
        """asyncpg's, for whatever is prepared; raw SQL that may have no plan for any arguments is planned first."""
        driver: Any = super()
        statement = await driver._get_statement(query, timeout, **options)
        if is_suspicious(query) and query not in self.planned and query != self._naming:
            try:
                await self._plan(query, "", len(statement._get_parameters()), timeout)
            except asyncpg.PostgresError as error:
                if is_refusal(error):
                    error.add_note(f"{REFUSED}; {mend(error)}")
                raise
        return statement

    async def _do_execute(self, *args: Any, **options: Any) -> Any:
        """asyncpg's, for raw SQL: what may have failed for outdated types is prepared anew the next time."""
        driver: Any = super()
        try:
            return await driver._do_execute(*args, **options)
        except Exception as error:
            if number := unknown_type(error):
                await self._learn_type(number)
            if isinstance(error, asyncpg.PostgresError) and is_refused_at_run(error):
                error.add_note(f"{REFUSED}; {mend(error)}")
            if refused_as_outdated(error) or refused_by_driver(error):
                self._drop_local_type_cache()
                driver._drop_local_statement_cache()
            if not isinstance(error, asyncpg.InvalidSQLStatementNameError) or self.is_in_transaction():
                raise
        # The statement was not there, so that it did not run.
        return await driver._do_execute(*args, **options)

    async def _learn_type(self, number: int) -> None:
        """Ask the server for a type, which the driver does by itself for columns only, not for what is in a record."""
        driver: Any = self
        types, _ = await driver._introspect_types([number], None)
        driver._protocol.get_settings().register_data_types(types)

    def forget_statements(self) -> None:
        """Drop what is cached of statements, since they are gone from the session."""
        driver: Any = super()
        self.prepared.clear()
        self._by_path.clear()
        driver._drop_local_statement_cache()
