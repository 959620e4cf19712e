"""Four operations at three concurrencies, by every stack; before that, every answer is compared with asyncpg's."""

from collections.abc import AsyncGenerator, Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from functools import partial
from importlib import import_module
from pathlib import Path

import asyncpg
import click

from benchmarks.contest import Call, Contest, Ratio
from benchmarks.peers.stack import BASELINE, COLUMNS, OURS, READER, TABLES, Stack, Stacks

Open = Callable[[str, Path, int], AbstractAsyncContextManager[Stacks]]
# Imported by name, so that a machine without their packages can run the other benchmarks.
MODULES = ("bindery", "driver", "aiosql_", "psycopg_", "sqlalchemy_")
OPERATIONS = {
    "one row by its key": "get_book",
    "20 rows": "list_books",
    "an insert": "add_loan",
    "a transaction of a read and an insert": "lend_book",
}
CONCURRENCY = (1, 16, 64)
# Each task has a book of its own, the last of which has 20 books after it.
KEYS = range(1, 980, 15)


@asynccontextmanager
async def contests(dsn: str, folder: Path) -> AsyncGenerator[list[Contest]]:
    """Each operation at each concurrency."""
    async with AsyncExitStack() as opened:
        connection = await asyncpg.connect(dsn)
        opened.push_async_callback(connection.close)
        await connection.execute(TABLES)
        stacks: Stacks = {}
        for open_stacks in imported():
            stacks |= await opened.enter_async_context(open_stacks(dsn, folder, max(CONCURRENCY)))
        for name, [stack, *_] in stacks.items():
            await check(name, stack, stacks[BASELINE][0], connection)
        yield [contest(what, tasks, stacks) for what in OPERATIONS for tasks in CONCURRENCY]


def imported() -> list[Open]:
    """Return what opens the stacks. Raises ClickException when a package is not installed."""
    try:
        return [import_module(f"benchmarks.peers.{name}").open_stacks for name in MODULES]
    except ModuleNotFoundError as error:
        raise click.ClickException(f"{error}; `make bench` installs what this part needs") from error


def contest(what: str, tasks: int, stacks: Stacks) -> Contest:
    """The operation by every stack; the baseline has a connection for each of its tasks, and no more tasks."""
    operation = OPERATIONS[what]
    contestants: dict[str, list[Call]] = {
        name: [partial(getattr(stack, operation), key) for key, stack in zip(KEYS, of_tasks[:tasks], strict=False)]
        for name, of_tasks in stacks.items()
    }
    ratios = [Ratio(OURS, name) for name in stacks if name != OURS]
    return Contest(f"{what}, {tasks} at a time", contestants, ratios)


async def check(name: str, stack: Stack, baseline: Stack, connection: "asyncpg.Connection[asyncpg.Record]") -> None:
    """Raise ValueError unless the stack answers and stores what the baseline does."""
    expected = [await baseline.get_book(KEYS[0]), *await baseline.list_books(KEYS[-1])]
    answers = [await stack.get_book(KEYS[0]), *await stack.list_books(KEYS[-1])]
    if [as_tuple(row) for row in answers] != [as_tuple(row) for row in expected] or len(answers) != 21:
        raise ValueError(f"{name} answers {answers}, not {expected}")
    for operation in (stack.add_loan, stack.lend_book):
        key = await operation(KEYS[-1])
        loan = await connection.fetchrow("select book_id, reader from loans where id = $1", key)
        if loan is None or tuple(loan) != (KEYS[-1], READER):
            raise ValueError(f"{name} stored {loan}")


def as_tuple(row: object) -> tuple[object, ...]:
    """The columns of a row of any stack."""
    return tuple(row) if isinstance(row, asyncpg.Record) else tuple(getattr(row, name) for name in COLUMNS)
