"""Answers to requests with an Idempotency-Key, by user and key."""

from dataclasses import dataclass

from app.db import Executor, Queries
from app.repositories import SQL

queries = Queries(
    SQL / "idempotency.sql",
    resource="Idempotency-Key",
    conflicts={"idempotency_keys_pkey": "Idempotency-Key"},
)

BATCH = 1000


@dataclass(frozen=True, slots=True)
class KeptAnswer:
    """The answer to a request, and the fingerprint of the request; `headers` are lines, `name: value`."""

    fingerprint: bytes
    status: int
    headers: str
    body: bytes


@queries.bind
async def try_lock(db: Executor, *, user_id: int, key: str) -> bool:
    """Return whether the key is in use by no other transaction; then it is this one's until it ends."""
    ...


@queries.bind
async def find_answer(db: Executor, *, user_id: int, key: str) -> KeptAnswer | None:
    """Return the answer to the user's request with this key, or None."""
    ...


@queries.bind
async def create_answer(
    db: Executor, *, user_id: int, key: str, fingerprint: bytes, status: int, headers: str, body: bytes
) -> None:
    """Keep the answer to the user's request with this key. Raises Conflict("Idempotency-Key") when there is one."""
    ...


@queries.bind
async def delete_old_answers(db: Executor, *, seconds: float, batch: int) -> int:
    """Delete up to `batch` answers that are older than `seconds`. Return how many."""
    ...


async def forget_answers(db: Executor, *, lifetime: float, batch: int = BATCH) -> int:
    """Delete all answers that are older than `lifetime` seconds, in short transactions. Return how many."""
    deleted = 0
    while True:
        last = await delete_old_answers(db, seconds=lifetime, batch=batch)
        deleted += last
        if last < batch:
            return deleted
