"""SQLAlchemy 2 ORM with the asyncpg dialect: mapped classes, and an AsyncSession for each operation.

`expire_on_commit=False` saves reading a committed object again, as SQLAlchemy's chapter on asyncio advises. Sessions
for a single statement are bound to an engine in AUTOCOMMIT, which saves BEGIN and COMMIT; those of the transaction are
bound to another engine. The statement of the list is made once, with a bound parameter.
"""

from datetime import datetime

from sqlalchemy import BigInteger, DateTime, Identity, bindparam, select
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession, async_sessionmaker
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from benchmarks.peers.stack import READER, Stack


class Base(DeclarativeBase):
    """What the mapped classes share."""


class Book(Base):
    """A row of books."""

    __tablename__ = "books"

    id: Mapped[int] = mapped_column(primary_key=True)
    title: Mapped[str]
    author: Mapped[str]
    pages: Mapped[int | None]
    added_at: Mapped[datetime] = mapped_column(DateTime(timezone=True))


class Loan(Base):
    """A row of loans."""

    __tablename__ = "loans"

    id: Mapped[int] = mapped_column(BigInteger, Identity(always=True), primary_key=True)
    book_id: Mapped[int]
    reader: Mapped[str]


LIST = select(Book).where(Book.id > bindparam("key")).order_by(Book.id).limit(20)


def sessions(engine: AsyncEngine) -> async_sessionmaker[AsyncSession]:
    """What makes sessions on this engine."""
    return async_sessionmaker(engine, expire_on_commit=False)


def stack(single_engine: AsyncEngine, transactional_engine: AsyncEngine) -> Stack:
    """The operations, each in a session of its own."""
    single, transactional = sessions(single_engine), sessions(transactional_engine)

    async def get_book(key: int) -> object:
        async with single() as session:
            return await session.get_one(Book, key)

    async def list_books(key: int) -> list[Book]:
        async with single() as session:
            return list((await session.scalars(LIST, {"key": key})).all())

    async def add_loan(key: int) -> int:
        async with single.begin() as session:
            session.add(loan := Loan(book_id=key, reader=READER))
        return loan.id

    async def lend_book(key: int) -> int:
        async with transactional.begin() as session:
            book = await session.get_one(Book, key)
            session.add(loan := Loan(book_id=book.id, reader=READER))
        return loan.id

    return Stack(get_book, list_books, add_loan, lend_book)
