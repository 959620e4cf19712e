"""Codecs of extension types hold on every connection, through resets and migrations, in arguments, rows and COPY."""

from __future__ import annotations

import struct
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Any

import asyncpg
import pytest

from app.db import BadRow, Database, DatabaseUnavailable, Executor, Queries

pytestmark = pytest.mark.one_loop

WriteQueries = Callable[[str], Queries]


class Vector:
    """A value of pgvector's type."""

    def __init__(self, numbers: tuple[float, ...]) -> None:
        self.numbers = numbers

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Vector) and self.numbers == other.numbers

    __hash__ = None  # pyright: ignore[reportAssignmentType]


def encode(vector: Vector) -> bytes:
    return struct.pack(f">HH{len(vector.numbers)}f", len(vector.numbers), 0, *map(float, vector.numbers))


def decode(data: bytes) -> Vector:
    return Vector(struct.unpack_from(f">{struct.unpack_from('>H', data)[0]}f", data, 4))


async def set_vector(connection: asyncpg.Connection[asyncpg.Record]) -> None:
    await connection.set_type_codec("vector", schema="public", encoder=encode, decoder=decode, format="binary")


@dataclass(frozen=True, slots=True)
class Point:
    id: int
    at: Vector
    path: list[Vector]


V, W = Vector((1.0, 2.0)), Vector((0.5, -3.0))


@pytest.fixture
async def db(database_url: str) -> AsyncIterator[Database]:
    connection = await asyncpg.connect(database_url)
    await connection.execute(
        "create extension vector; create table points (id int, at vector(2), path vector[]);"
        " create type named as (name text, at vector)"
    )
    await connection.close()
    async with Database(database_url, min_size=1, max_size=2, codecs=set_vector) as db:
        yield db


@pytest.fixture
def points(write_queries: WriteQueries) -> Points:
    return Points(write_queries(Points.TEXT))


class Points:
    TEXT = """
-- name: get_points
select id, at, path from points where at <> :other order by id;
-- name: add_point
insert into points (id, at, path) values (:number, :at, :path);
-- name: copy_points
copy points (id, at, path) from stdin;
-- name: stream_points
select id, at, path from points order by id;
-- name: get_named
select (:named::named).at;
"""

    def __init__(self, queries: Queries) -> None:
        @queries.bind
        async def get_points(db: Executor, *, other: Vector) -> list[Point]: ...
        @queries.bind
        async def add_point(db: Executor, *, number: int, at: Vector, path: Sequence[Vector]) -> None: ...
        @queries.bind
        async def copy_points(db: Executor, *, rows: Iterable[Point]) -> int: ...
        @queries.bind
        def stream_points(db: Executor) -> AbstractAsyncContextManager[AsyncIterator[Point]]: ...
        @queries.bind
        async def get_named(db: Executor, *, named: tuple[str, Vector]) -> Vector: ...

        self.get, self.add, self.copy, self.stream, self.named = (
            get_points, add_point, copy_points, stream_points, get_named,
        )  # fmt: skip


async def use_all(db: Database, points: Points) -> None:
    await db.execute("delete from points")
    await points.add(db, number=1, at=V, path=[V, W])
    assert await points.copy(db, rows=[Point(2, W, []), Point(3, V, [W])]) == 2
    expected = [Point(1, V, [V, W]), Point(2, W, []), Point(3, V, [W])]
    assert await points.get(db, other=Vector((0.0, 0.0))) == expected
    async with points.stream(db) as rows:
        assert [row async for row in rows] == expected
    assert await points.named(db, named=("x", W)) == W
    assert await db.fetchval("select at from points where at = $1", W) == W


async def test_values_of_an_extension_come_and_go(db: Database, points: Points) -> None:
    await use_all(db, points)


async def test_codecs_outlive_resets_and_hold_on_every_connection(db: Database, points: Points) -> None:
    await db.execute("discard all")
    async with db.acquire() as one, db.acquire() as other:
        for connection in (one, other):
            assert await connection.fetchval("select '[1,2]'::vector") == V
            await connection.execute("set lock_timeout = '1s'")
    await use_all(db, points)
    db.retire_connections()
    await use_all(db, points)

    assert "reset" not in db.statistics().evictions


async def test_a_connection_with_codecs_is_lent_again(db: Database, points: Points) -> None:
    for _ in range(3):
        await use_all(db, points)

    assert db.statistics().evictions == {}


async def test_an_extension_that_is_created_again_is_read_as_before(db: Database, points: Points) -> None:
    await use_all(db, points)
    await db.execute(
        "drop extension vector cascade; create extension vector;"
        " alter table points add at vector(2), add path vector[]; alter type named add attribute at vector"
    )

    await use_all(db, points)
    async with db.acquire() as one, db.acquire() as other:
        for connection in (one, other):
            assert await connection.fetchval("select '[1,2]'::vector") == V
    assert db.statistics().evictions == {}


async def test_other_types_are_read_as_without_codecs(db: Database) -> None:
    assert await db.fetchval("""select row(array[1, 2], '{"a": 1}'::jsonb)""") == ([1, 2], {"a": 1})


async def test_a_row_that_the_codec_cannot_take_is_told(db: Database, points: Points) -> None:
    with pytest.raises(BadRow, match="row 2"):
        await points.copy(db, rows=[Point(1, V, []), Point(2, Vector(("x",)), [])])  # pyright: ignore[reportArgumentType]


async def test_a_database_without_the_extension_is_told(database_url: str) -> None:
    with pytest.raises(DatabaseUnavailable, match=r"unknown type: public\.vector; create the extension"):
        async with Database(database_url, codecs=set_vector):
            pass


async def test_any_other_fault_of_the_function_stays_what_it_is(database_url: str) -> None:
    async def fail(connection: Any) -> None:
        raise LookupError("mine")

    with pytest.raises(DatabaseUnavailable, match="LookupError: mine"):
        async with Database(database_url, codecs=fail):
            pass
