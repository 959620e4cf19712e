"""asyncpg's connection with reliable types: every private method of asyncpg that this layer overrides is here."""

from collections.abc import Awaitable, Iterable, Mapping
from typing import Any

import asyncpg
from asyncpg.prepared_stmt import PreparedStatement

from app.db.binding.generic_plan import REFUSED, generic_explain, is_refusal, is_refused_at_run, is_suspicious, mend
from app.db.binding.pg_types import TypeInfo
from app.db.session.builtin_types import know_builtin_types
from app.db.session.codecs import Codecs, set_codecs
from app.db.session.driver import DriverConnection
from app.db.session.outdated import may_change_in_place, refused_as_outdated, refused_by_driver, unknown_type
from app.db.session.type_catalog import is_user_defined_compound, load_type_infos

# How many texts are remembered to have a generic plan; raw SQL may differ every time.
_KNOWN_PLANS = 10_000


class TypedConnection(DriverConnection):
    """asyncpg's connection. What it caches of types and statements is dropped when a migration made it outdated.

    The pinned version range and tests/db/test_outdated.py guard asyncpg's private methods that it overrides or calls.
    `planned` has the texts that are known to have a generic plan, on any connection of the pool.
    """

    plans_first = True
    """Whether a new statement is planned generically once. Not needed where every run, or none, is planned so."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.planned: set[str] = set()
        self.codecs: Codecs | None = None
        self._codecs_are_due = False
        self._type_infos: dict[int, TypeInfo] = {}
        self._naming: str | None = None

    async def type_infos_of(self, types: Iterable[asyncpg.Type]) -> Mapping[int, TypeInfo]:
        """Return what is known of user-defined types by number (OID), these types included."""
        if unknown := [each for each in types if is_user_defined_compound(each) and each.oid not in self._type_infos]:
            self._type_infos |= await load_type_infos(self, unknown)
        return self._type_infos

    async def set_codecs_again(self) -> None:
        """Set the codecs of extension types for the types that exist now."""
        self._codecs_are_due = False
        try:
            await set_codecs(self, self.codecs)
        except Exception as error:
            self._codecs_are_due = True
            error.add_note("in the function that was given to the Database as `codecs`")
            raise

    async def plan_generically(self, sql: str, keyword: str, parameters: int, timeout: float | None) -> None:
        """Let the server plan a statement generically, once for the pool. Raises the server's error if it refuses."""
        explain = generic_explain(sql, keyword, parameters, self.get_server_version().major)
        if explain and self.plans_first:
            await super().execute(explain, timeout=timeout)
        if len(self.planned) > _KNOWN_PLANS:
            self.planned.clear()
        self.planned.add(sql)

    async def learn_type(self, number: int) -> None:
        """Ask the server for a type (OID) inside a record. The driver does that by itself only for columns."""
        driver: Any = self
        types, _ = await driver._introspect_types([number], None)
        driver._protocol.get_settings().register_data_types(types)

    def drop_raw_statements(self) -> None:
        """Drop asyncpg's cache of raw statements on this connection."""
        driver: Any = super()
        driver._drop_local_statement_cache()

    def _drop_local_type_cache(self) -> None:
        driver: Any = super()
        driver._drop_local_type_cache()
        self._type_infos.clear()
        know_builtin_types(self)
        # An extension that was created again has other types.
        self._codecs_are_due = self.codecs is not None

    async def _prepare(self, query: str, *, use_cache: bool = False, **options: Any) -> Any:
        """asyncpg's, without its cache: COPY, the only user of that, would keep the former type of a column."""
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
        """asyncpg's, for everything that is prepared. Raw SQL that may have no generic plan is planned first."""
        driver: Any = super()
        statement = await driver._get_statement(query, timeout, **options)
        if is_suspicious(query) and query not in self.planned and query != self._naming:
            try:
                await self.plan_generically(query, "", len(statement._get_parameters()), timeout)
            except asyncpg.PostgresError as error:
                if is_refusal(error):
                    error.add_note(f"{REFUSED}; {mend(error)}")
                raise
        return statement

    async def _do_execute(self, *args: Any, **options: Any) -> Any:
        """asyncpg's, for raw SQL. A statement that failed because of outdated types is prepared again next time."""
        driver: Any = super()
        try:
            return await driver._do_execute(*args, **options)
        except Exception as error:
            if number := unknown_type(error):
                await self.learn_type(number)
            if isinstance(error, asyncpg.PostgresError) and is_refused_at_run(error):
                error.add_note(f"{REFUSED}; {mend(error)}")
            if refused_as_outdated(error) or refused_by_driver(error):
                self._drop_local_type_cache()
                self.drop_raw_statements()
            if not isinstance(error, asyncpg.InvalidSQLStatementNameError) or self.is_in_transaction():
                raise
        # The prepared statement did not exist, so nothing ran.
        return await driver._do_execute(*args, **options)
