"""Optional: sends rows to the server by binary COPY, all or none."""

from collections.abc import AsyncIterable, Iterable
from typing import Any

import asyncpg

from app.db.binding.copying import Copying
from app.db.binding.pg_types import TypeInfo, type_info_of
from app.db.binding.query import Query
from app.db.session.session import Session
from app.db.session.transaction import in_transaction
from app.db.sql.copy_target import CopyTarget


async def copy_rows(session: Session, query: Query, rows: Iterable[Any] | AsyncIterable[Any]) -> int:
    """Send the rows, all or none. Return how many there were."""
    target = query.copy
    if target is None:
        raise query.fault("is no `copy … from stdin`")
    session.start(query.function)
    async with in_transaction(session):
        copying = Copying(query, target, await _column_infos(session, query, target))
        records: Any = copying.records(rows)
        try:
            status = await session.copy_records_to_table(
                target.table,
                schema_name=target.schema,
                columns=target.columns,
                records=records,
                timeout=session.answer_timeout,
            )
        except BaseException as error:
            # A generator that is left early must be closed: then it says which row it was at.
            await records.aclose() if isinstance(rows, AsyncIterable) else records.close()
            session.count_failure(query, error)
            own = _failed(session, copying, error)
            if own is error:
                raise
            raise own from error
    figures, copied = session.figures.of_query(query), int(status.rpartition(" ")[2])
    figures.rows += copied
    session.count(figures)
    return copied


async def _column_infos(session: Session, query: Query, target: CopyTarget) -> list[TypeInfo]:
    try:
        described = await session.prepare(target.description(), timeout=session.answer_timeout)
    except asyncpg.SyntaxOrAccessError as error:
        raise query.fault(str(error)) from error
    except Exception as error:
        session.raise_translated(error, query, ())
        raise
    types = [attribute.type for attribute in described.get_attributes()]
    known = await session.type_infos_of(types)
    return [type_info_of(pg_type, known) for pg_type in types]


def _failed(session: Session, copying: Copying, error: BaseException) -> BaseException:
    """Record the failure. Return the layer's own error if there is one, else the same error."""
    own, step = error, copying.query.function
    if not isinstance(error, Exception) or isinstance(error, TimeoutError):
        # The server is told to stop, and only a reset waits until it has.
        session.needs_reset()
    if copying.callers is not None:
        # The driver replaces a TimeoutError of the caller's rows by one of its own.
        own = copying.callers
    elif isinstance(error, Exception):
        own = session.own_error(error, step) or copying.translate(error)
    if own is not error:
        own.__cause__ = error
    session.record_failure(own)
    # An unfinished COPY aborts its transaction, even if the server never saw what was wrong.
    session.transaction_state.fail(own)
    return own
