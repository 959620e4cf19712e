"""Transactions and savepoints."""

from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Literal

import asyncpg
from asyncpg.transaction import Transaction

if TYPE_CHECKING:
    from app.db.server_connection import ServerConnection

Isolation = Literal["read_committed", "repeatable_read", "serializable"]


@dataclass(frozen=True, slots=True)
class TransactionOptions:
    """How a transaction runs: its isolation (None: the server's default), and whether it may write or be deferred."""

    isolation: Isolation | None = None
    readonly: bool = False
    deferrable: bool = False


@asynccontextmanager
async def transaction_block(server: "ServerConnection", options: TransactionOptions) -> AsyncGenerator[None]:
    """BEGIN and COMMIT around the block, a savepoint inside a transaction; ROLLBACK on any exception.

    Raises ValueError for options that a savepoint cannot honour, DatabaseUnavailable where BEGIN or COMMIT gets lost.
    """
    if server.is_in_transaction() and options != TransactionOptions():
        raise ValueError(
            "a nested transaction is a savepoint and takes no isolation, readonly or deferrable; "
            "give them to the outermost transaction()"
        )
    transaction = server.transaction(
        isolation=options.isolation, readonly=options.readonly, deferrable=options.deferrable
    )
    settings = "" if server.is_in_transaction() else server.settings_of_transactions
    await _unless_lost(server, transaction.start, "BEGIN")
    try:
        if settings:
            await _unless_lost(server, partial(server.execute, settings), "BEGIN")
        yield
    except BaseException:
        await _roll_back(server, transaction)
        raise
    await _unless_lost(server, transaction.commit, "COMMIT")


async def _roll_back(server: "ServerConnection", transaction: Transaction) -> None:
    try:
        await transaction.rollback()
    except (asyncpg.PostgresError, asyncpg.InterfaceError, OSError) as error:
        # The server rolls back what a lost connection began, and the block's own exception says what happened.
        if not server.lost_by(error, "ROLLBACK"):
            raise
    except BaseException:
        server.give_up()
        raise


async def _unless_lost(server: "ServerConnection", step: Callable[[], Awaitable[object]], name: str) -> None:
    try:
        await step()
    except (asyncpg.PostgresError, asyncpg.InterfaceError, OSError) as error:
        if unavailable := server.lost_by(error, name):
            raise unavailable from error
        raise
    except BaseException:
        server.give_up()
        raise
