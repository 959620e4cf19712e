"""What PostgreSQL and its driver complain about, in the words of this layer."""

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from ipaddress import IPv4Address
from pathlib import Path
from typing import Any
from uuid import UUID

import asyncpg
import pytest

from app.db import (
    BadArgument,
    BinderyError,
    BindingError,
    Conflict,
    Database,
    DatabaseUnavailable,
    Executor,
    NotConnected,
    NotFound,
    PoolTimeout,
    Queries,
    TooManyRows,
)
from app.db.pool.connect_errors import connect_error, server_name

pytestmark = pytest.mark.one_loop

Load = Callable[[str], Queries]

SECRET = "hunter2 (or 3)"


@pytest.fixture
def load(tmp_path: Path) -> Load:
    """Queries with the constraints of `schema` mapped to fields and resources."""

    def load(text: str) -> Queries:
        path = tmp_path / "people.sql"
        path.write_text(text)
        return Queries(path, conflicts={"people_name_key": "username"}, references={"people_boss_id_fkey": "boss"})

    return load


@pytest.fixture
async def schema(db: Database) -> None:
    """A table whose constraints are mapped but for two; person 1 is ann."""
    await db.execute(
        """
        create table people (
            id int constraint people_pkey primary key,
            name text constraint people_name_key unique constraint people_name_check check (name <> ''),
            boss_id int constraint people_boss_id_fkey references people (id),
            twin_id int constraint people_twin_id_fkey references people (id)
        );
        insert into people values (1, 'ann')
        """
    )


def test_every_error_has_one_parent() -> None:
    errors = (
        BadArgument,
        BindingError,
        Conflict,
        DatabaseUnavailable,
        NotConnected,
        NotFound,
        PoolTimeout,
        TooManyRows,
    )

    assert all(issubclass(error, BinderyError) for error in errors)


# Constraints


@pytest.fixture
def create(load: Load, db: Database, schema: None) -> Callable[..., Any]:
    """Inserts a person, by default without a fault."""

    @load("-- name: create_person\ninsert into people values (:key, :name, :boss_id, :twin_id)").bind
    async def create_person(db: Executor, *, key: int, name: str, boss_id: int, twin_id: int | None) -> None: ...

    async def create(*, key: int = 2, name: str = "bob", boss_id: int = 1, twin_id: int | None = None) -> None:
        await create_person(db, key=key, name=name, boss_id=boss_id, twin_id=twin_id)

    return create


async def test_a_taken_value_is_a_conflict_of_its_field(create: Callable[..., Any]) -> None:
    with pytest.raises(Conflict) as error:
        await create(name="ann")

    assert (error.value.field, str(error.value)) == ("username", "username has already been taken")
    assert isinstance(error.value.__cause__, asyncpg.UniqueViolationError)


async def test_a_reference_to_what_is_gone_is_not_found(create: Callable[..., Any]) -> None:
    with pytest.raises(NotFound) as error:
        await create(boss_id=9)

    assert (error.value.resource, str(error.value)) == ("boss", "boss not found")
    assert isinstance(error.value.__cause__, asyncpg.ForeignKeyViolationError)


@pytest.mark.parametrize(
    ("fault", "kind", "constraint"),
    [
        ({"key": 1}, asyncpg.UniqueViolationError, "people_pkey"),
        ({"twin_id": 9}, asyncpg.ForeignKeyViolationError, "people_twin_id_fkey"),
        ({"name": ""}, asyncpg.CheckViolationError, "people_name_check"),
    ],
)
async def test_a_violation_that_is_not_mapped_stays_the_drivers(
    create: Callable[..., Any],
    fault: dict[str, Any],
    kind: type[asyncpg.IntegrityConstraintViolationError],
    constraint: str,
) -> None:
    with pytest.raises(kind) as error:
        await create(**fault)

    assert error.value.constraint_name == constraint
    assert error.value.__cause__ is None


async def test_a_violation_in_a_transaction_can_be_undone_by_its_savepoint(
    load: Load, db: Database, schema: None
) -> None:
    queries = load("-- name: create_person\ninsert into people (id, name) values (:key, 'ann')")

    @queries.bind
    async def create_person(db: Executor, *, key: int) -> None: ...

    async with db.transaction() as tx:
        with pytest.raises(Conflict):
            async with tx.transaction():
                await create_person(tx, key=2)
        await tx.execute("delete from people")
        await create_person(tx, key=2)

    assert await db.fetchval("select array_agg(id) from people") == [2]


# Arguments


async def refused(load: Load, db: Database, type_name: str, value: Any) -> BadArgument:
    """The error for `value` where PostgreSQL takes a `type_name`; it comes as the second of two arguments."""

    @load(f"-- name: get_value\nselect :first::text is null or :value::{type_name} is null").bind
    async def get_value(db: Executor, *, value: Any, first: str) -> bool: ...

    with pytest.raises(BadArgument) as error:
        await get_value(db, value=value, first="fine")
    assert (error.value.function, error.value.parameter) == ("get_value", "value")
    assert str(error.value) == f"get_value(value=...): {error.value.reason}"
    return error.value


@pytest.mark.parametrize(
    ("type_name", "value", "reason"),
    [
        ("smallint", 2**15, "value out of int16 range"),
        ("int", -(2**31) - 1, "value out of int32 range"),
        ("bigint", 2**63, "value out of int64 range"),
        ("bigint[]", [1, 2**63], "value out of int64 range"),
        ("int", SECRET, "must be int | None, not str"),
        ("text", 5, "must be str | None, not int"),
        ("text", f"{SECRET}\ud800", "surrogates not allowed"),
        ("text[]", SECRET, "a sized iterable container expected (got type 'str')"),
        ("text[]", [SECRET, 4711], "item 2 must be str | None, not int"),
        ("uuid", SECRET, "must be UUID | None, not str"),
        ("inet", SECRET, "is not a value of this type"),
        ("numeric", SECRET, "must be Decimal | int | None, not str"),
        ("date", SECRET, "must be date | None, not str"),
        ("jsonb", {"a": {SECRET}}, "Object of type set is not JSON serializable"),
    ],
)
async def test_a_value_that_the_type_cannot_hold_is_a_bad_argument_that_does_not_tell_it(
    load: Load, db: Database, type_name: str, value: Any, reason: str
) -> None:
    error = await refused(load, db, type_name, value)

    assert error.reason == reason
    assert not any(part in str(error) for part in ("hunter2", "4711", "32768", "2147483649", "9223372036854775808"))


@pytest.mark.parametrize(
    ("type_name", "value"),
    [("text", f"{SECRET}\0"), ("text[]", ["a", f"{SECRET}\0"]), ("text[]", [["a"], ["\0"]]), ("varchar(9)[]", ("\0",))],
)
async def test_text_with_a_nul_character_is_a_bad_argument(
    load: Load, db: Database, type_name: str, value: Any
) -> None:
    error = await refused(load, db, type_name, value)

    assert error.reason == "contains a NUL character, which text cannot hold"


async def test_the_argument_with_the_nul_character_is_named_among_others(load: Load, db: Database) -> None:
    queries = load("-- name: get_length\nselect length(:b::text || :a::text || :n::int)")

    @queries.bind
    async def get_length(db: Executor, *, n: int, a: str, b: str) -> int: ...

    for arguments, parameter in (({"a": "\0", "b": ""}, "a"), ({"a": "", "b": "\0"}, "b")):
        with pytest.raises(BadArgument) as error:
            await get_length(db, n=0, **arguments)
        assert error.value.parameter == parameter


@pytest.mark.parametrize(
    ("sql", "kind"),
    [
        ("select 1 / :n::int", asyncpg.DivisionByZeroError),
        ("select convert_from('\\x00', 'UTF8') || :n::int", asyncpg.CharacterNotInRepertoireError),
        ("select ('x' || :n::int)::int", asyncpg.InvalidTextRepresentationError),
    ],
)
async def test_bad_data_that_is_no_argument_stays_the_drivers(
    load: Load, db: Database, sql: str, kind: type[asyncpg.DataError]
) -> None:
    @load(f"-- name: get_value\n{sql}").bind
    async def get_value(db: Executor, *, n: int) -> Any: ...

    with pytest.raises(kind):
        await get_value(db, n=0)


CONTEXT_TYPES = """
create type state as enum ('open');
create type pair as (number int, state state);
create domain size as int check (value > 0);
"""


@pytest.mark.parametrize(
    ("type_name", "value", "reason"),
    [
        ("state", SECRET, "invalid input value for enum state"),
        ("state[]", ["open", SECRET], "invalid input value for enum state"),
        ("pair", (1, SECRET), "invalid input value for enum state"),
        ("size", -4711, 'value for domain size violates check constraint "size_check"'),
        ("size[]", [1, -4711], 'value for domain size violates check constraint "size_check"'),
        ("jsonb", {"a": [f"{SECRET}\0"]}, "contains a NUL character, which text cannot hold"),
        ("jsonb", {f"{SECRET}\0": 1}, "contains a NUL character, which text cannot hold"),
        ("jsonb", float("nan"), "invalid input syntax for type json"),
        ("regclass", "hunter2", "relation of this name does not exist"),
        ("tsquery", "hunter2 & ", "no operand in tsquery"),
        ("jsonpath", "$$$.", 'syntax error at or near "$" of jsonpath input'),
        ("int4range", asyncpg.Range(4711, 1), "range lower bound must be less than or equal to range upper bound"),
        ("name", SECRET * 20, "identifier too long"),
    ],
)
async def test_a_value_that_the_server_refuses_is_a_bad_argument_that_does_not_tell_it(
    load: Load, db: Database, type_name: str, value: Any, reason: str
) -> None:
    async with db.acquire() as connection:
        await connection.execute(CONTEXT_TYPES)

    error = await refused(load, db, type_name, value)

    assert error.reason == reason
    assert not any(part in str(error) for part in ("hunter2", "4711"))


async def test_the_argument_is_named_where_the_server_shows_values_in_its_context(
    load: Load, database_url: str
) -> None:
    async with Database(database_url, server_settings={"log_parameter_max_length_on_error": "9"}) as db:
        async with db.acquire() as connection:
            await connection.execute(CONTEXT_TYPES)

        error = await refused(load, db, "state", "it's\n$1")

    assert error.reason == "invalid input value for enum state"


async def test_a_stream_names_the_argument_that_the_server_refuses(load: Load, db: Database) -> None:
    async with db.acquire() as connection:
        await connection.execute(CONTEXT_TYPES)

    @load("-- name: get_states\nselect :n::int where :state::state = 'open'").bind
    def get_states(db: Executor, *, n: int, state: str) -> AbstractAsyncContextManager[AsyncIterator[int]]: ...

    with pytest.raises(BadArgument) as error:
        async with get_states(db, n=1, state="shut") as rows:
            [row async for row in rows]
    assert error.value.parameter == "state"


async def test_what_a_function_says_of_its_own_statements_is_of_no_argument(load: Load, db: Database) -> None:
    async with db.acquire() as connection:
        await connection.execute(
            "create function fail(n int) returns int language plpgsql as $$ begin"
            " return (select\n'no number'::text::int + $1\n); end $$"
        )

    @load("-- name: get_value\nselect fail(:n)").bind
    async def get_value(db: Executor, *, n: int) -> int: ...

    with pytest.raises(asyncpg.InvalidTextRepresentationError):
        await get_value(db, n=0)


async def test_a_bad_argument_leaves_the_connection_usable(load: Load, db: Database) -> None:
    queries = load("-- name: get_value\nselect :value::int")

    @queries.bind
    async def get_value(db: Executor, *, value: int) -> int: ...

    async with db.transaction() as tx:
        with pytest.raises(BadArgument):
            await get_value(tx, value=2**31)
        assert await get_value(tx, value=7) == 7


async def test_valid_values_of_special_types_pass(load: Load, db: Database) -> None:
    queries = load("-- name: get_text\nselect concat_ws(' ', :key::uuid, :address::inet)")

    @queries.bind
    async def get_text(db: Executor, *, key: UUID, address: IPv4Address) -> str: ...

    assert await get_text(db, key=UUID(int=1), address=IPv4Address("127.0.0.1")) == f"{UUID(int=1)} 127.0.0.1"


# Servers that cannot be connected to


@pytest.mark.parametrize(
    ("dsn", "name"),
    [
        ("postgresql://ann:hunter2@db.example:6543/shop", "db.example:6543/shop as ann"),
        ("postgresql://ann@db.example/shop", "db.example:5432/shop as ann"),
        ("postgresql:///shop", "localhost:5432/shop"),
        ("postgresql://db.example/shop?user=ann&password=hunter2&port=6543", "db.example:6543/shop as ann"),
        ("postgresql://a%40nn:hunter2@one:1,two:2,three/my%20db", "one:1,two:2,three:5432/my db as a@nn"),
        ("postgresql://ann:hunter2@%2Frun%2Fpostgresql/shop", "/run/postgresql/shop as ann"),
        ("postgresql:///shop?host=/run/postgresql&user=ann", "/run/postgresql/shop as ann"),
        ("postgresql://[::1]:6543/shop", "[::1]:6543/shop"),
        ("postgresql://[::1]/shop", "[::1]:5432/shop"),
        ("postgresql://ann:h@nter2@db.example/shop", "db.example:5432/shop as ann"),
    ],
)
def test_a_server_is_named_without_its_password(dsn: str, name: str) -> None:
    assert server_name(dsn) == name
    assert repr(Database(dsn)) == f"<Database {name}>"


@pytest.mark.parametrize("password", ["hunter/2", "hunter?2", "hunter#2", "hunter[2", "hunter/2@", "hunter/2:3"])
async def test_a_password_that_is_not_encoded_is_not_told_either(password: str) -> None:
    database = Database(f"postgresql://ann:{password}@127.0.0.1:1/shop")

    with pytest.raises(DatabaseUnavailable) as error:
        await database.connect()

    assert "percent-encoded" in str(error.value)
    assert "hunter" not in f"{error.value}{database!r}"


@pytest.mark.parametrize(
    ("error", "explanation"),
    [
        (
            asyncpg.InvalidPasswordError("password authentication failed"),
            "PostgreSQL at {} refuses the login (password authentication failed); check the user and the password",
        ),
        (
            asyncpg.InvalidAuthorizationSpecificationError("no such role"),
            "PostgreSQL at {} refuses the login (no such role); check the user and the password",
        ),
        (
            asyncpg.InvalidCatalogNameError("no such database"),
            "PostgreSQL at {} has no such database (no such database); create it with createdb",
        ),
        (
            asyncpg.TooManyConnectionsError("too many clients"),
            "PostgreSQL at {} takes no more connections (too many clients); make the pools smaller",
        ),
        (
            asyncpg.CannotConnectNowError("starting up"),
            "cannot connect to PostgreSQL at {}: CannotConnectNowError: starting up",
        ),
        (TimeoutError(), "PostgreSQL at {} did not answer in time; check the host, the port and firewalls"),
        (
            ConnectionRefusedError(111, "Connection refused"),
            "cannot reach PostgreSQL at {}: Connection refused; is it running, and are host and port right?",
        ),
        (
            OSError("several failed"),
            "cannot reach PostgreSQL at {}: several failed; is it running, and are host and port right?",
        ),
        (
            asyncpg.ClientConfigurationError("no such sslmode"),
            "cannot connect to PostgreSQL at {}: ClientConfigurationError: no such sslmode",
        ),
        (
            ValueError("invalid port: 'hunter2'"),
            "cannot read the address of PostgreSQL at {}: is a part not percent-encoded, or the port not a number?",
        ),
    ],
)
def test_a_failed_connection_says_which_server_and_what_to_try(error: Exception, explanation: str) -> None:
    explained = connect_error("postgresql://ann:hunter2@db.example/shop", error)

    assert isinstance(explained, DatabaseUnavailable)
    assert str(explained) == explanation.format("db.example:5432/shop as ann")
