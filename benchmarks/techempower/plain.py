"""The service on asyncpg.Pool alone, as an expert would write it for these tests.

python -m benchmarks.techempower.plain PORT
"""

import os
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import asyncpg
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response

from app.serve import freeze_garbage
from benchmarks.server import CONNECTIONS, SERVER_SETTINGS, serve
from benchmarks.techempower.page import fortunes_answer, json_answer, random_key, random_keys, routes, world

GET = "select id, randomnumber from world where id = $1"
UPDATE = """
    update world set randomnumber = changed.number
    from unnest($1::int[], $2::int[]) as changed (id, number) where world.id = changed.id
"""
FORTUNES = "select id, message from fortune"


async def db(request: Request) -> Response:
    """Read a row."""
    row = await request.app.state.pool.fetchrow(GET, random_key())
    return json_answer(world(row[0], row[1]))


async def queries(request: Request) -> Response:
    """Read rows, each by a statement of its own."""
    async with request.app.state.pool.acquire() as connection:
        rows = [await connection.fetchrow(GET, key) for key in random_keys(request)]
    return json_answer([world(row[0], row[1]) for row in rows])


async def updates(request: Request) -> Response:
    """Read rows, each by a statement of its own, and store another number for each."""
    keys = sorted(random_keys(request))
    async with request.app.state.pool.acquire() as connection:
        rows = [await connection.fetchrow(GET, key) for key in keys]
        numbers = [random_key() for _ in rows]
        await connection.execute(UPDATE, [row[0] for row in rows], numbers)
    return json_answer([world(row[0], number) for row, number in zip(rows, numbers, strict=True)])


async def fortunes(request: Request) -> Response:
    """Read all sayings and show them."""
    return fortunes_answer(tuple(row) for row in await request.app.state.pool.fetch(FORTUNES))


@asynccontextmanager
async def lifespan(app: Starlette) -> AsyncGenerator[None]:
    """Keep the pool open."""
    async with asyncpg.create_pool(
        os.environ["DATABASE_URL"], min_size=CONNECTIONS, max_size=CONNECTIONS, server_settings=SERVER_SETTINGS
    ) as app.state.pool:
        freeze_garbage()
        yield


app = Starlette(routes=routes(db, queries, updates, fortunes), lifespan=lifespan)

if __name__ == "__main__":
    serve(app, names_server=True)
