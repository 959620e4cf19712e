"""A schema for each tenant: the same statement means other tables and other types under another search path."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from enum import StrEnum

import pytest

from app.db import BindingError, Connection, Database, Executor, Queries
from app.db.sql.search_path import may_change_path

pytestmark = pytest.mark.one_loop

WriteQueries = Callable[[str], Queries]
TENANTS = ("one", "two")
STATEMENTS = """
-- name: get_orders
select id, state, lines, place from orders order by id;
-- name: stream_orders
select id, state, lines, place from orders order by id;
-- name: add_order
insert into orders (id, state, lines, place) values (:number, :state, :lines, ('there', :state));
-- name: get_counted
select count(*) from orders where state = :state;
-- name: copy_orders
copy orders (id, state) from stdin;
-- name: enter
select set_config('search_path', :schema, true);
"""


class State(StrEnum):
    OPEN = "open"
    PAID = "paid"


@dataclass(frozen=True, slots=True)
class Place:
    name: str
    state: State


@dataclass(frozen=True, slots=True)
class Order:
    id: int
    state: State
    lines: list[State] | None
    place: Place | None


@dataclass(frozen=True, slots=True)
class NewOrder:
    id: int
    state: State


class Orders:
    """The functions that are bound to STATEMENTS."""

    def __init__(self, queries: Queries) -> None:
        @queries.bind
        async def get_orders(db: Executor) -> list[Order]: ...
        @queries.bind
        def stream_orders(db: Executor) -> AbstractAsyncContextManager[AsyncIterator[Order]]: ...
        @queries.bind
        async def add_order(db: Executor, *, number: int, state: State, lines: list[State]) -> None: ...
        @queries.bind
        async def get_counted(db: Executor, *, state: State) -> int: ...
        @queries.bind
        async def copy_orders(db: Executor, *, rows: Iterable[NewOrder]) -> int: ...
        @queries.bind
        async def enter(db: Executor, *, schema: str) -> str: ...

        self.get, self.stream, self.add, self.count, self.copy, self.enter = (
            get_orders, stream_orders, add_order, get_counted, copy_orders, enter,
        )  # fmt: skip


@pytest.fixture
def orders(write_queries: WriteQueries) -> Orders:
    return Orders(write_queries(STATEMENTS))


@pytest.fixture
async def db(database_url: str) -> AsyncIterator[Database]:
    """One connection, for two tenants."""
    async with Database(database_url, min_size=1, max_size=1) as db:
        await create_tenants(db)
        yield db


async def create_tenants(db: Database) -> None:
    """Their types have the labels in another order."""
    for tenant, labels in zip(TENANTS, ("'open', 'paid'", "'paid', 'open'"), strict=True):
        await db.execute(f"""
            create schema {tenant};
            create type {tenant}.state as enum ({labels});
            create type {tenant}.place as (name text, state {tenant}.state);
            create table {tenant}.orders (id int, state {tenant}.state, lines {tenant}.state[], place {tenant}.place)
            """)


async def use_all(tx: Connection, orders: Orders, number: int) -> None:
    """Every kind of statement, each with the types of the tenant."""
    await orders.add(tx, number=number, state=State.PAID, lines=[State.OPEN, State.PAID])
    expected = Order(number, State.PAID, [State.OPEN, State.PAID], Place("there", State.PAID))
    assert (await orders.get(tx))[-1] == expected
    async with orders.stream(tx) as rows:
        assert [row async for row in rows][-1] == expected
    assert await orders.count(tx, state=State.PAID) == number
    assert await tx.fetchval("select state from orders where state = $1", "paid") == "paid"
    assert await orders.copy(tx, rows=[NewOrder(0, State.OPEN)]) == 1


async def enter_by_settings(db: Database, orders: Orders, tenant: str, number: int) -> None:
    async with db.transaction(settings={"search_path": tenant}) as tx:
        await use_all(tx, orders, number)


async def enter_by_statement(db: Database, orders: Orders, tenant: str, number: int) -> None:
    async with db.transaction() as tx:
        await orders.enter(tx, schema=tenant)
        await use_all(tx, orders, number)


async def enter_by_raw_sql(db: Database, orders: Orders, tenant: str, number: int) -> None:
    async with db.transaction() as tx:
        await tx.execute(f"set local search_path = {tenant}")
        await use_all(tx, orders, number)


async def enter_for_the_session(db: Database, orders: Orders, tenant: str, number: int) -> None:
    async with db.acquire() as connection:
        await connection.execute(f"set search_path = {tenant}")
        await use_all(connection, orders, number)
        async with connection.transaction() as tx:
            await orders.count(tx, state=State.OPEN)


async def enter_in_a_savepoint(db: Database, orders: Orders, tenant: str, number: int) -> None:
    async with db.transaction() as tx:
        await tx.execute(f"set local search_path = {tenant}")
        await orders.count(tx, state=State.OPEN)
        with pytest.raises(LookupError):
            async with tx.transaction():
                await tx.execute(f"set local search_path = {'one' if tenant == 'two' else 'two'}")
                await orders.count(tx, state=State.OPEN)
                raise LookupError
        await use_all(tx, orders, number)


async def enter_by_run(db: Database, orders: Orders, tenant: str, number: int) -> None:
    async def work(tx: Connection) -> None:
        await use_all(tx, orders, number)

    await db.run(work, settings={"search_path": tenant}, attempts=1)


WAYS: list[Callable[[Database, Orders, str, int], Awaitable[None]]] = [
    enter_by_settings, enter_by_statement, enter_by_raw_sql, enter_for_the_session, enter_in_a_savepoint, enter_by_run,
]  # fmt: skip


@pytest.mark.parametrize("enter", WAYS)
async def test_each_tenant_has_its_own_types_on_one_connection(
    db: Database, orders: Orders, enter: Callable[[Database, Orders, str, int], Awaitable[None]]
) -> None:
    for number in (1, 2, 3):
        for tenant in TENANTS:
            await enter(db, orders, tenant, number)


async def test_tenants_take_turns_by_any_way(db: Database, orders: Orders) -> None:
    for number, enter in enumerate(WAYS, start=1):
        for tenant in TENANTS:
            await enter(db, orders, tenant, number)


async def test_single_statements_have_the_tenant_of_their_executor(db: Database, orders: Orders) -> None:
    for number in (1, 2):
        for tenant in TENANTS:
            executor = db.with_settings({"search_path": tenant})
            await orders.add(executor, number=number, state=State.OPEN, lines=[])
            assert await orders.count(executor, state=State.OPEN) == number


async def test_the_usual_path_is_back_after_a_transaction(db: Database, database_url: str, orders: Orders) -> None:
    async with Database(database_url, min_size=1, max_size=1, server_settings={"search_path": "one"}) as usual:
        await orders.add(usual, number=1, state=State.PAID, lines=[])

        await enter_by_settings(usual, orders, "two", 1)
        assert [row.id for row in await orders.get(usual)] == [1]
        async with usual.transaction() as tx:
            assert await orders.count(tx, state=State.PAID) == 1
            assert await tx.fetchval("select count(*) from orders where state = $1", "paid") == 1


async def test_a_statement_without_types_of_ones_own_is_prepared_once_for_all(
    db: Database, write_queries: WriteQueries
) -> None:
    @write_queries("-- name: get_numbers\nselect id from orders").bind
    async def get_numbers(db: Executor) -> list[int]: ...

    for tenant in (*TENANTS, *TENANTS):
        async with db.transaction(settings={"search_path": tenant}) as tx:
            await get_numbers(tx)

    prepared = "select count(*) from pg_prepared_statements where statement like 'select id from orders%'"
    assert await db.fetchval(prepared) == 1


async def test_a_connection_keeps_the_statements_of_a_number_of_tenants(db: Database, orders: Orders) -> None:
    for number in range(40):
        await db.execute(
            f"create schema s{number}; create type s{number}.state as enum ('open');"
            f" create table s{number}.orders (state s{number}.state)"
        )
        async with db.transaction(settings={"search_path": f"s{number}"}) as tx:
            await orders.count(tx, state=State.OPEN)

    prepared = "select count(*) from pg_prepared_statements where statement like '%from orders where state%'"
    # The statement that goes is closed with the next one that the driver sends.
    assert 20 < await db.fetchval(prepared) < 40


async def test_a_tenant_whose_column_is_of_another_kind_is_refused(db: Database, orders: Orders) -> None:
    await enter_by_settings(db, orders, "one", 1)
    await db.execute("alter table two.orders alter state type text")

    async with db.transaction(settings={"search_path": "two"}) as tx:
        with pytest.raises(BindingError, match=r"column 'state' was one\.state and is text"):
            await orders.get(tx)


@pytest.mark.parametrize(
    ("sql", "may"),
    [
        ("set search_path = a", True), ("SET LOCAL search_path TO a", True), ("set schema 'a'", True),
        ("set role a", True), ("set local role a", True), ("set session authorization a", True), ("reset role", True),
        ("reset all", True), ("reset session authorization", True), ("discard all", True),
        ("select set_config($1, $2, true)", True), ("select set_config('search_path', 'a', true)", True),
        ("select set_config(E'role', E'a', true)", True), ("alter role a set search_path = b", True),
        ("select set_config('app.tenant', '7', true)", False), ("set lock_timeout = '1s'", False),
        ("select role, schema from users where reset is null", False), ("select 1", False),
    ],
)  # fmt: skip
def test_a_text_may_set_the_path_by_what_it_says(sql: str, may: bool) -> None:
    assert may_change_path(sql) is may


async def test_raw_sql_that_only_names_a_role_stays_prepared(db: Database) -> None:
    await db.execute("create table staff (role text)")
    prepared = "select count(*) from pg_prepared_statements where statement like 'select role from%'"
    async with db.acquire() as connection:
        for _ in range(3):
            await connection.fetch("select role from staff where role = $1", "admin")
        assert await connection.fetchval(prepared) == 1
        assert await connection.fetchval(prepared + " and generic_plans + custom_plans = 3") == 1


async def test_a_role_of_a_transaction_has_a_path_of_its_own(db: Database, orders: Orders) -> None:
    for number in (1, 2):
        for tenant in TENANTS:
            async with db.transaction(settings={"search_path": tenant, "role": "postgres"}) as tx:
                await use_all(tx, orders, number)
