"""Get PostgreSQL's own analysis of a statement: the parsed, typed tree that it keeps of an SQL function's body."""

from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager

import asyncpg

from app.check.postgres.proofs.tree import Node, TreeError, parse_tree, single_query

_FUNCTION = "pg_temp.bindery_statement"
_BODY = """
select oid, prosqlbody::text as body from pg_proc where pronamespace = pg_my_temp_schema() and proname = $1
"""


@asynccontextmanager
async def analysed(
    connection: asyncpg.Connection, text: str, parameter_types: Sequence[str]
) -> AsyncGenerator[tuple[Node, int]]:
    """The QUERY node of a statement with `$1` …, whose types are named as format_type() names them.

    Nothing is executed and nothing stays: for the block there is a function with the statement as its body, of which
    this is the object id, too. Raises what the server says about the text, FeatureNotSupportedError for a statement
    that is no query, such as SHOW.
    """
    transaction = connection.transaction()
    await transaction.start()
    try:
        # `returns void` lets the body end in any statement; the line break ends a comment at the end of the text.
        await connection.execute(
            f"create function {_FUNCTION}({', '.join(parameter_types)}) returns void language sql"
            f" begin atomic {text}\n; end"
        )
        row = await connection.fetchrow(_BODY, _FUNCTION.partition(".")[2])
        if row is None:
            raise TreeError("the server did not keep the statement")
        yield single_query(parse_tree(row["body"])), row["oid"]
    finally:
        await transaction.rollback()


async def analysed_tree(connection: asyncpg.Connection, text: str, parameter_types: Sequence[str]) -> Node:
    """The QUERY node of analysed()."""
    async with analysed(connection, text, parameter_types) as (tree, _):
        return tree
