"""The first connections of a pool: fail fast, or wait for a database that starts at the same time."""

import asyncio
import logging
from time import monotonic

from app.db.errors import DatabaseUnavailable
from app.db.lease import Lease

_log = logging.getLogger(__name__)
_BETWEEN_ATTEMPTS = 0.2


async def open_first(lease: Lease) -> None:
    """Open as many connections as are kept, and at least one.

    Raises DatabaseUnavailable at once, or when the server could not be reached for `startup_wait` seconds.
    """
    give_up = monotonic() + lease.options.startup_wait
    while not lease.connections:
        try:
            await lease.openings.open_now()
        except DatabaseUnavailable as error:
            if monotonic() >= give_up:
                raise
            _log.warning("waiting for the database: %s", error)
            await asyncio.sleep(_BETWEEN_ATTEMPTS)
    # The first one showed that the server answers.
    opened = await asyncio.gather(
        *(lease.openings.open_now() for _ in range(1, lease.options.min_size)), return_exceptions=True
    )
    for error in filter(None, opened):
        raise error
