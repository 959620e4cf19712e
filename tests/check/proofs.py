"""Asks for the proofs of a statement's columns, and holds them against what the statement yields."""

from collections.abc import Awaitable, Callable, Sequence

import asyncpg

from app.check.postgres.proofs.nullability import never_null_columns

Prove = Callable[..., Awaitable[list[bool]]]
"""Says for each column of a statement whether it is proved never to be null."""

SCHEMA = """
create table a (id int primary key, n int not null, x int, t text);
create table b (id int not null, a_id int, t text not null);
insert into a values (1, 1, null, null), (2, 2, 2, 'two');
insert into b values (1, 1, 'b'), (9, null, '');
"""


def prove_on(connection: asyncpg.Connection) -> Prove:
    """Proves by this connection, whose schema is SCHEMA; each statement is also run, and rolled back."""

    async def prove(text: str, *arguments: object, types: str = "") -> list[bool]:
        proved = await never_null_columns(connection, text, types.split())
        transaction = connection.transaction()
        await transaction.start()
        rows = await connection.fetch(text, *arguments)
        await transaction.rollback()
        for row in rows:
            assert nulls_against(proved, row) == []
        return proved

    return prove


def nulls_against(proved: Sequence[bool], row: asyncpg.Record) -> list[str]:
    """The columns that are null in a row though they are proved never to be."""
    return [name for (name, value), never in zip(row.items(), proved, strict=True) if never and value is None]
