"""Rows of two tenants, kept apart by row-level security; the login must be none that may bypass it."""

from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager
from pathlib import Path

from app.db import Executor, Queries

SCHEMA = """
create table orders (tenant int not null, what text not null);
alter table orders enable row level security;
alter table orders force row level security;
create policy tenant on orders
    using (tenant = nullif(current_setting('app.tenant', true), '')::int)
    with check (tenant = nullif(current_setting('app.tenant', true), '')::int);
"""

queries = Queries(Path(__file__).with_suffix(".sql"))


@queries.bind
async def add_order(db: Executor, *, what: str) -> None:
    """Store one for the tenant of the transaction."""
    ...


@queries.bind
async def list_orders(db: Executor) -> list[str]:
    """Those of the tenant."""
    ...


@queries.bind
def stream_orders(db: Executor) -> AbstractAsyncContextManager[AsyncIterator[str]]:
    """Those of the tenant."""
    ...


@queries.bind
async def fail(db: Executor, *, zero: int) -> int:
    """A division by zero."""
    ...


@queries.bind
async def wait(db: Executor) -> int:
    """Thirty seconds."""
    ...


@queries.bind
async def get_tenant(db: Executor) -> str:
    """The tenant of the transaction, empty outside of one."""
    ...
