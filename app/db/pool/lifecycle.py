"""Opens and closes a pool."""

import asyncio
import logging
from dataclasses import dataclass
from time import monotonic

from app.db.errors import DatabaseUnavailable
from app.db.pool.connector import Connector
from app.db.pool.options import PoolOptions
from app.db.pool.pool import Pool
from app.db.pool.upkeep import Upkeep

_log = logging.getLogger(__name__)
_BETWEEN_ATTEMPTS = 0.2


@dataclass(frozen=True, slots=True)
class OpenPool:
    """A pool and its upkeep."""

    pool: Pool
    upkeep: asyncio.Task[None]

    async def close(self) -> None:
        """Wait for sessions in use, at most `close_timeout` seconds, and close all."""
        self.upkeep.cancel()
        try:
            await self.pool.close(self.pool.options.close_timeout)
        finally:
            await asyncio.gather(self.upkeep, return_exceptions=True)


async def open_pool(connector: Connector, options: PoolOptions) -> OpenPool:
    """Open a pool with `min_size` sessions, and at least one.

    Raises DatabaseUnavailable at once, or when the server could not be reached for `startup_wait` seconds.
    """
    pool = Pool(connector, options)
    try:
        await _open_first(pool)
        return OpenPool(pool, asyncio.create_task(Upkeep(pool).run(), name=f"upkeep of {connector}"))
    except BaseException:
        await pool.close(0)
        raise


async def _open_first(pool: Pool) -> None:
    give_up = monotonic() + pool.options.startup_wait
    while not pool.state.sessions:
        try:
            await pool.connecting.open_now()
        except DatabaseUnavailable as error:
            if monotonic() >= give_up:
                raise
            _log.warning("waiting for the database: %s", error)
            await asyncio.sleep(_BETWEEN_ATTEMPTS)
    # The first one showed that the server answers. The upkeep opens those that are beyond the rate.
    most = min(pool.options.min_size, pool.options.connect_rate)
    opened = await asyncio.gather(*(pool.connecting.open_now() for _ in range(1, most)), return_exceptions=True)
    for error in filter(None, opened):
        raise error
