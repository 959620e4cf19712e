"""SQLAlchemy 2 with the asyncpg dialect: the engines that Core and ORM share, each with a pool of POOL_SIZE.

One engine is in AUTOCOMMIT for single statements, another runs transactions: `execution_options(isolation_level=...)`
on a single engine would set and reset the level for each use of a connection, which costs a tenth of a transaction.
`skip_autocommit_rollback` saves the ROLLBACK when a connection returns to the pool.
"""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path

import asyncpg
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from benchmarks.peers import sqlalchemy_core, sqlalchemy_orm
from benchmarks.peers.stack import POOL_SIZE, Stacks


@asynccontextmanager
async def open_stacks(dsn: str, _: Path, tasks: int) -> AsyncGenerator[Stacks]:
    """Two stacks, which all tasks share."""
    single = pooled_engine(dsn, isolation_level="AUTOCOMMIT", skip_autocommit_rollback=True)
    transactional = pooled_engine(dsn)
    yield {
        "SQLAlchemy 2 Core": [sqlalchemy_core.stack(single, transactional)] * tasks,
        "SQLAlchemy 2 ORM": [sqlalchemy_orm.stack(single, transactional)] * tasks,
    }
    await single.dispose()
    await transactional.dispose()


def pooled_engine(dsn: str, **options: object) -> AsyncEngine:
    """An engine with a pool of the size that all have."""
    return create_async_engine(
        "postgresql+asyncpg://",
        async_creator=lambda: asyncpg.connect(dsn),
        pool_size=POOL_SIZE,
        max_overflow=0,
        **options,
    )
