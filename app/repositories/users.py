"""Accounts."""

from collections.abc import AsyncIterable, Iterable
from dataclasses import dataclass

from app.db import Executor, Queries
from app.repositories import SQL

queries = Queries(
    SQL / "users.sql",
    resource="viewer",
    conflicts={
        "users_username_key": "username",
        "users_username_folded_key": "username",
        "users_email_key": "email",
        "users_email_folded_key": "email",
    },
    harmless={"folded"},
)


@dataclass(frozen=True, slots=True)
class User:
    """An account as its owner sees it."""

    id: int
    username: str
    email: str
    bio: str | None
    image: str | None


@dataclass(frozen=True, slots=True)
class Account:
    """An account, the hash of its password, and the generation of the tokens that it gets now."""

    user: User
    password_hash: str
    token_generation: int


@dataclass(frozen=True, slots=True)
class Taken:
    """Whether another account has this user name or this e-mail address."""

    username: bool
    email: bool


@dataclass(frozen=True, slots=True)
class NewAccount:
    """An account to store."""

    username: str
    email: str
    password_hash: str
    bio: str | None
    image: str | None


@queries.bind
async def copy_users(db: Executor, *, rows: Iterable[NewAccount] | AsyncIterable[NewAccount]) -> int:
    """Store many accounts, all or none. Raises BadRow, which names the row, when one cannot be stored."""
    ...


@queries.bind
async def create_user(db: Executor, *, username: str, email: str, password_hash: str) -> User:
    """Store and return a new account. Raises Conflict("username") or Conflict("email") when one is taken."""
    ...


@queries.bind
async def find_account(db: Executor, *, email: str) -> Account | None:
    """Return the account with this e-mail address, or None."""
    ...


@queries.bind
async def get_taken(db: Executor, *, user_id: int | None, username: str | None, email: str | None) -> Taken:
    """Return which of the two values belongs to an account other than this one. None belongs to no account."""
    ...


@queries.bind
async def get_user(db: Executor, *, user_id: int, generation: int) -> User:
    """Return the account with this id. Raises NotFound("viewer") when it, or this generation of tokens, is gone."""
    ...


@queries.bind
async def update_user(
    db: Executor,
    *,
    user_id: int,
    generation: int,
    username: str | None,
    email: str | None,
    password_hash: str | None,
    sets_bio: bool,
    bio: str | None,
    sets_image: bool,
    image: str | None,
) -> User:
    """Change and return an account. None changes nothing, except bio and image when `sets_...` is true.

    Raises Conflict("username") or Conflict("email") when one is taken, NotFound("viewer") as get_user does.
    """
    ...


@queries.bind
async def end_tokens(db: Executor, *, user_id: int, generation: int) -> int:
    """End all tokens of the account and return 1; 0 when it, or this generation of tokens, is gone."""
    ...


@queries.bind
async def find_newest_key(db: Executor) -> int | None:
    """Return the id of the newest account, None if there is none."""
    ...
