"""What must hold of two tenants, whatever way leads to the server."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import Any

import asyncpg

from app.db import Database
from tests.db.tenants import add_order, fail, get_tenant, list_orders, stream_orders, wait

A, B = {"app.tenant": "1"}, {"app.tenant": 2}


async def each_sees_its_own(db: Database) -> None:
    """By every way in which settings are given."""
    for settings, what in ((A, "a"), (B, "b")):
        async with db.transaction(settings=settings) as tx:
            await add_order(tx, what=what)
        await db.run(add_order, what=f"{what}2", settings=settings)
        await add_order(db.with_settings(settings), what=f"{what}3")
    for settings, what in ((A, "a"), (B, "b")):
        expected = [what, f"{what}2", f"{what}3"]
        assert await list_orders(db.with_settings(settings)) == expected
        async with stream_orders(db.with_settings(settings)) as orders:
            assert [order async for order in orders] == expected
        async with db.acquire() as connection, connection.transaction(settings=settings) as tx:
            assert await list_orders(tx) == expected


async def nothing_is_left(db: Database) -> None:
    """Neither after a commit nor after an error, a rollback or a cancellation."""
    await add_order(db.with_settings(A), what="a")
    for _ in range(3):
        with suppress(asyncpg.DivisionByZeroError):
            await fail(db.with_settings(A), zero=0)
        with suppress(RuntimeError):
            async with db.transaction(settings=A):
                raise RuntimeError
        waiting = asyncio.create_task(wait(db.with_settings(A)))
        await asyncio.sleep(0.05)
        waiting.cancel()
        with suppress(asyncio.CancelledError):
            await waiting
        assert await get_tenant(db) == ""
        assert await list_orders(db) == []
        assert await list_orders(db.with_settings(B)) == []
    assert await list_orders(db.with_settings(A)) == ["a"]


async def at_once(db: Database) -> None:
    """Many transactions of both, in whatever sessions they get."""

    async def one(settings: Any, what: str) -> None:
        await add_order(db.with_settings(settings), what=what)
        assert set(await list_orders(db.with_settings(settings))) == {what}
        assert await list_orders(db) == []

    await asyncio.gather(*(one(settings, what) for _ in range(20) for settings, what in ((A, "a"), (B, "b"))))
