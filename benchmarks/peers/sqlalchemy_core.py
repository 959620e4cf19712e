"""SQLAlchemy 2 Core with the asyncpg dialect.

The statements are table constructs made once, with bound parameters, so that each execution finds its compiled SQL in
the cache; text() is no faster. Single statements run on an engine in AUTOCOMMIT, which saves them BEGIN and ROLLBACK.
"""

from sqlalchemy import (
    BigInteger,
    Column,
    DateTime,
    Identity,
    Integer,
    MetaData,
    Table,
    Text,
    bindparam,
    insert,
    select,
)
from sqlalchemy.ext.asyncio import AsyncEngine

from benchmarks.peers.stack import READER, Stack

metadata = MetaData()
books = Table(
    "books",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("title", Text, nullable=False),
    Column("author", Text, nullable=False),
    Column("pages", Integer),
    Column("added_at", DateTime(timezone=True), nullable=False),
)
loans = Table(
    "loans",
    metadata,
    Column("id", BigInteger, Identity(always=True), primary_key=True),
    Column("book_id", Integer, nullable=False),
    Column("reader", Text, nullable=False),
)
GET = select(books).where(books.c.id == bindparam("key"))
LIST = select(books).where(books.c.id > bindparam("key")).order_by(books.c.id).limit(20)
ADD = insert(loans).returning(loans.c.id)


def stack(single: AsyncEngine, transactional: AsyncEngine) -> Stack:
    """The operations on connections of these engines."""

    async def get_book(key: int) -> object:
        async with single.connect() as connection:
            return (await connection.execute(GET, {"key": key})).one()

    async def list_books(key: int) -> list[object]:
        async with single.connect() as connection:
            return list((await connection.execute(LIST, {"key": key})).all())

    async def add_loan(key: int) -> int:
        async with single.connect() as connection:
            return (await connection.execute(ADD, {"book_id": key, "reader": READER})).scalar_one()

    async def lend_book(key: int) -> int:
        async with transactional.begin() as connection:
            book = (await connection.execute(GET, {"key": key})).one()
            return (await connection.execute(ADD, {"book_id": book.id, "reader": READER})).scalar_one()

    return Stack(get_book, list_books, add_loan, lend_book)
