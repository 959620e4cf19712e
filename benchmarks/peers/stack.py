"""What each stack does: four operations on two tables, with SQL that is the same where a stack leaves the choice.

A row is an object with the columns as attributes wherever the stack has such rows: asyncpg alone gives its records,
this layer, aiosql and psycopg give the dataclass Book, SQLAlchemy Core its Row and SQLAlchemy's ORM a mapped object.
"""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import datetime

OURS, BASELINE = "Bindery", "asyncpg without a pool"
POOL_SIZE = 16
READER = "ann"
TABLES = """
    create table books (
        id int primary key, title text not null, author text not null, pages int, added_at timestamptz not null
    );
    create table loans (
        id bigint generated always as identity primary key, book_id int not null, reader text not null
    );
    insert into books
    select n, 'Title ' || n, 'Author ' || n % 50, nullif(n % 400, 0), timestamptz '2026-01-01' + n * interval '1 hour'
    from generate_series(1, 1000) as n;
    analyze books;
"""
COLUMNS = ("id", "title", "author", "pages", "added_at")
GET_BOOK = f"select {', '.join(COLUMNS)} from books where id = {{key}}"
LIST_BOOKS = f"select {', '.join(COLUMNS)} from books where id > {{key}} order by id limit 20"
ADD_LOAN = "insert into loans (book_id, reader) values ({key}, {reader}) returning id"


@dataclass(frozen=True, slots=True)
class Book:
    """A row of the table."""

    id: int
    title: str
    author: str
    pages: int | None
    added_at: datetime


@dataclass(frozen=True, slots=True)
class Stack:
    """The operations of a stack, each with the key of a book."""

    get_book: Callable[[int], Awaitable[object]]
    """One row by its primary key."""
    list_books: Callable[[int], Awaitable[Sequence[object]]]
    """The 20 rows after this key."""
    add_loan: Callable[[int], Awaitable[int]]
    """Insert a row, and return the key that the database gave it."""
    lend_book: Callable[[int], Awaitable[int]]
    """Get the book and add a loan of it, in one transaction."""


Stacks = dict[str, list[Stack]]
"""Stacks by name, each once for every task."""
