"""What a service must be able to do with the keys that were used; its repository has these functions."""

from collections.abc import Coroutine
from typing import Any, Protocol

from app.db import Executor


class Kept(Protocol):
    """An answer that is stored."""

    @property
    def fingerprint(self) -> bytes:
        """The mark of the request that it answers."""
        ...

    @property
    def status(self) -> int:
        """Its status."""
        ...

    @property
    def headers(self) -> str:
        """Its headers, a line each, `name: value`."""
        ...

    @property
    def body(self) -> bytes:
        """Its body."""
        ...


class TryLock(Protocol):
    """Locks a key."""

    def __call__(self, db: Executor, *, user_id: int, key: str) -> Coroutine[Any, Any, bool]:
        """Return whether the user's key is in use by no other transaction; then it is this one's until it ends."""
        ...


class FindAnswer(Protocol):
    """Finds an answer."""

    def __call__(self, db: Executor, *, user_id: int, key: str) -> Coroutine[Any, Any, Kept | None]:
        """Return the answer to the user's request with this key, or None."""
        ...


class CreateAnswer(Protocol):
    """Stores an answer."""

    def __call__(
        self, db: Executor, *, user_id: int, key: str, fingerprint: bytes, status: int, headers: str, body: bytes
    ) -> Coroutine[Any, Any, None]:
        """Store the answer to the user's request with this key. Raises Conflict when there is one."""
        ...
