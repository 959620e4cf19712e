"""The service on this layer.

python -m benchmarks.techempower.service PORT
"""

import os
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response

from app.db import Database, Executor, Queries
from app.serve import freeze_garbage
from benchmarks.server import CONNECTIONS, SERVER_SETTINGS, serve
from benchmarks.techempower.page import fortunes_answer, json_answer, random_key, random_keys, routes, world

bound = Queries(Path(__file__).parent / "world.sql", resource="world")


@dataclass(frozen=True, slots=True)
class World:
    """A row with a random number."""

    id: int
    number: int


@dataclass(frozen=True, slots=True)
class Fortune:
    """A saying."""

    id: int
    message: str


@bound.bind
async def get_world(db: Executor, *, id: int) -> World:  # noqa: A002 - the column's name
    """Return the row. Raises NotFound when there is none."""
    ...


@bound.bind
async def update_worlds(db: Executor, *, ids: list[int], numbers: list[int]) -> None:
    """Store the numbers of these rows."""
    ...


@bound.bind
async def list_fortunes(db: Executor) -> list[Fortune]:
    """Return all sayings."""
    ...


async def db(request: Request) -> Response:
    """Read a row."""
    row = await get_world(request.app.state.db, id=random_key())
    return json_answer(world(row.id, row.number))


async def queries(request: Request) -> Response:
    """Read rows, each by a statement of its own."""
    async with request.app.state.db.acquire() as connection:
        rows = [await get_world(connection, id=key) for key in random_keys(request)]
    return json_answer([world(row.id, row.number) for row in rows])


async def updates(request: Request) -> Response:
    """Read rows, each by a statement of its own, and store another number for each."""
    # In the order of their keys: two requests that change the same rows wait for each other in one direction only.
    keys = sorted(random_keys(request))
    async with request.app.state.db.acquire() as connection:
        rows = [await get_world(connection, id=key) for key in keys]
        numbers = [random_key() for _ in rows]
        await update_worlds(connection, ids=[row.id for row in rows], numbers=numbers)
    return json_answer([world(row.id, number) for row, number in zip(rows, numbers, strict=True)])


async def fortunes(request: Request) -> Response:
    """Read all sayings and show them."""
    rows = await list_fortunes(request.app.state.db)
    return fortunes_answer((row.id, row.message) for row in rows)


@asynccontextmanager
async def lifespan(app: Starlette) -> AsyncGenerator[None]:
    """Keep the pool open."""
    async with Database(
        os.environ["DATABASE_URL"], min_size=CONNECTIONS, max_size=CONNECTIONS, server_settings=SERVER_SETTINGS
    ) as app.state.db:
        freeze_garbage()
        yield


app = Starlette(routes=routes(db, queries, updates, fortunes), lifespan=lifespan)

if __name__ == "__main__":
    serve(app, names_server=True)
