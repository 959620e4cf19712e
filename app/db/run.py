"""Optional: runs a function in a transaction until it is committed, and finds out whether it was.

If the connection is lost at COMMIT, it is not known whether the transaction was stored. The number of the transaction
proves nothing, because a server hands it out again after a crash. A row with a unique token, written in the same
transaction, does: inserting it again waits until the old transaction has ended, and is refused if that was committed.
This insert is the first step of the next attempt. Either it is refused, and the earlier result is valid, or the attempt
goes on, and the earlier one can never be committed.
"""

import asyncio
import random
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import replace
from itertools import count
from time import monotonic
from typing import Generic, NamedTuple, TypeVar, cast
from uuid import UUID

import asyncpg

from app.db.errors import CommitUnknown, StatementTimeout, TokenUsed
from app.db.pool.timer import TimeLimits
from app.db.session.transaction import Isolation, TransactionOptions, options_of

T = TypeVar("T")
C = TypeVar("C")
Begin = Callable[[TransactionOptions, float], AbstractAsyncContextManager[C]]
"""Returns a transaction with these options that waits at most that many seconds for a connection."""

RETRIED = (
    asyncpg.SerializationError,
    asyncpg.DeadlockDetectedError,
    asyncpg.InvalidCachedStatementError,
    asyncpg.OutdatedSchemaCacheError,
)
# The name is fixed, because its migration belongs to the layer.
_INSERT_TOKEN = "insert into commit_tokens (token) values ('{token}')"  # noqa: S105 - no secret
_TOKEN_KEY = "commit_tokens_pkey"  # noqa: S105 - no secret
# An attempt with an unknown outcome may still be running: the proof waits for it, but not beyond the deadline.
_AWAIT_TOKEN = "set local lock_timeout = {milliseconds}; {insert}; set local lock_timeout to default"  # noqa: S105 - no secret
# Far longer than any run() may take, because a missing token would prove that nothing was committed.
FORGET_TOKENS = "delete from commit_tokens where created_at < now() - interval '1 day'"
STATEMENTS = {"run.insert_token": _INSERT_TOKEN.format(token=UUID(int=0)), "run.forget_tokens": FORGET_TOKENS}
"""What the layer itself runs on its table, by name: a role needs the rights for it."""
LONGEST_DEADLINE = 3600.0
_FIRST_DELAY, _LONGEST_DELAY = 0.02, 1.0


class RunOptions(NamedTuple):
    """How often run() tries, for how many seconds at most, and the token that proves a commit."""

    isolation: Isolation | None
    attempts: int
    deadline: float
    token: UUID | None
    settings: str = ""

    def check(self) -> None:
        """Raise ValueError for invalid options."""
        if self.attempts < 1 or self.deadline <= 0:
            raise ValueError(f"attempts ({self.attempts}) and deadline ({self.deadline} s) must be more than 0")
        if self.token is not None and not isinstance(self.token, UUID):  # pyright: ignore[reportUnnecessaryIsInstance] - it becomes SQL
            raise ValueError("token must be a uuid.UUID")
        if self.token is not None and self.deadline > LONGEST_DEADLINE:
            raise ValueError(
                f"with a token the deadline may be {LONGEST_DEADLINE:.0f} s at most: tokens last for a day"
            )

    def transaction(self, seconds: float | None) -> TransactionOptions:
        """Return the options of an attempt. After a COMMIT without answer it waits up to `seconds` for that to end."""
        if self.token is None:
            options = options_of(self.isolation)
            return replace(options, settings=self.settings) if self.settings else options
        insert = _INSERT_TOKEN.format(token=self.token)
        if seconds is not None:
            insert = _AWAIT_TOKEN.format(milliseconds=max(1, round(seconds * 1000)), insert=insert)
        return TransactionOptions(self.isolation, first=insert, settings=self.settings)


class Run(Generic[C, T]):
    """One call of run(). `begin` begins a transaction, `limits` stop the function at the deadline."""

    __slots__ = ("_attempts", "_begin", "_ends", "_function", "_limits", "_options", "_problem", "_result", "_unproven")

    def __init__(
        self, begin: Begin[C], limits: TimeLimits, options: RunOptions, function: Callable[[C], Awaitable[T]]
    ) -> None:
        options.check()
        self._begin = begin
        self._limits = limits
        self._options = options
        self._function = function
        self._ends = monotonic() + options.deadline
        self._unproven: CommitUnknown | None = None
        self._result: T | None = None
        self._problem: Exception | None = None
        self._attempts = 0

    async def result(self) -> T:
        """Return the function's result once it is committed; see Database.run()."""
        for tries in count():
            try:
                async with self._transaction() as tx:
                    # With a token this proves that no earlier attempt was committed or will be.
                    self._unproven = None
                    self._attempts += 1
                    self._result = result = await self._in_time(tx)
            except CommitUnknown as error:
                if self._options.token is None:
                    raise
                self._unproven = self._problem = error
            except Exception as error:
                if self._is_proof(error):
                    return cast("T", self._result)
                if self._unproven is None and not self._deserves_another(error):
                    raise
                self._problem = error
            else:
                return result
            await self._pause(tries, self._problem)
        raise AssertionError("count() does not end")

    async def _in_time(self, tx: C) -> T:
        """Run the function until the deadline. COMMIT has none, because stopping it would leave the outcome unknown."""
        limit = self._limits.until(self._ends)
        try:
            with limit:
                return await self._function(tx)
        except TimeoutError as error:
            if not limit.expired:
                raise
            raise StatementTimeout(self._too_late()) from error

    def _too_late(self) -> str:
        told = f"run() was not done after {self._options.deadline} s; nothing was stored"
        if self._problem is None:
            return told
        return f"{told}; this was attempt {self._attempts}, the one before failed: {self._problem}"

    def _transaction(self) -> AbstractAsyncContextManager[C]:
        left = self._ends - monotonic()
        return self._begin(self._options.transaction(left if self._unproven else None), left)

    def _is_proof(self, error: Exception) -> bool:
        """Return whether the previous attempt stored the token. Raises TokenUsed when an earlier call did."""
        if not isinstance(error, asyncpg.UniqueViolationError) or error.constraint_name != _TOKEN_KEY:
            return False
        if self._unproven is None:
            raise TokenUsed(f"a transaction with the token {self._options.token} was committed before") from error
        return True

    def _deserves_another(self, error: Exception) -> bool:
        return self._attempts < self._options.attempts and _is_retried(error)

    async def _pause(self, tries: int, problem: Exception) -> None:
        """Wait a random time, up to twice as long with each attempt. Raises the problem at the deadline."""
        delay = random.uniform(0, min(_FIRST_DELAY * 2**tries, _LONGEST_DELAY))  # noqa: S311 - no secret
        if monotonic() + delay >= self._ends:
            if self._unproven is None or problem is self._unproven:
                raise problem
            raise self._unproven from problem
        await asyncio.sleep(delay)


def _is_retried(error: BaseException) -> bool:
    """Return whether a new transaction may succeed, by this error, one of its causes, or one of its group.

    One of a group is enough: after a conflict has aborted the transaction, its other tasks fail for that reason.
    """
    pending, seen = [error], set[int]()
    while pending:
        each = pending.pop()
        if isinstance(each, RETRIED):
            return True
        if id(each) in seen:
            continue
        seen.add(id(each))
        if isinstance(each, BaseExceptionGroup):
            pending += cast("BaseExceptionGroup[BaseException]", each).exceptions
        pending += filter(None, (each.__cause__ or each.__context__,))
    return False
