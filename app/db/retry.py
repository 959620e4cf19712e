"""Runs a function in a transaction until it is committed, and knows whether it was.

A connection that breaks at COMMIT leaves it open whether the transaction was stored. The number of the transaction
proves nothing, since a server that crashed hands it out again. A row with a unique token, written in that transaction,
does: whoever inserts it again waits until the old transaction has ended one way or the other, and is refused if it was
committed. That insert is the first step of the next attempt: either it is refused, and there is the result already, or
the attempt goes on, and the one before can never be committed any more.
"""

import asyncio
import random
from collections.abc import Awaitable, Callable
from dataclasses import replace
from itertools import count
from time import monotonic
from typing import Generic, NamedTuple, TypeVar, cast
from uuid import UUID

import asyncpg

from app.db.connection import Connection, TransactionLoan
from app.db.errors import CommitUnknown, StatementTimeout, TokenUsed
from app.db.lease import Lease
from app.db.report import place_of_caller
from app.db.transaction import Isolation, TransactionOptions, options_of

T = TypeVar("T")

RETRIED = (
    asyncpg.SerializationError,
    asyncpg.DeadlockDetectedError,
    asyncpg.InvalidCachedStatementError,
    asyncpg.OutdatedSchemaCacheError,
)
# The name is fixed: its migration comes along with the layer, and a name to configure could be configured wrong.
_INSERT_TOKEN = "insert into commit_tokens (token) values ('{token}')"  # noqa: S105 - no secret
_TOKEN_KEY = "commit_tokens_pkey"  # noqa: S105 - no secret
# An attempt whose end nobody has seen may still run: the proof waits for it, but not beyond the deadline.
_AWAIT_TOKEN = "set local lock_timeout = {milliseconds}; {insert}; set local lock_timeout to default"  # noqa: S105 - no secret
# Far longer than any run() may take, since a token that is gone would prove that nothing was committed.
FORGET_TOKENS = "delete from commit_tokens where created_at < now() - interval '1 day'"
LONGEST_DEADLINE = 3600.0
_FIRST_DELAY, _LONGEST_DELAY = 0.02, 1.0


class RunOptions(NamedTuple):
    """How often and how long run() tries, in seconds, and what proves a commit."""

    isolation: Isolation | None
    attempts: int
    deadline: float
    token: UUID | None
    settings: str = ""

    def check(self) -> None:
        """ValueError for what makes no sense."""
        if self.attempts < 1 or self.deadline <= 0:
            raise ValueError(f"attempts ({self.attempts}) and deadline ({self.deadline} s) must be more than 0")
        if self.token is not None and not isinstance(self.token, UUID):  # pyright: ignore[reportUnnecessaryIsInstance] - it becomes SQL
            raise ValueError("token must be a uuid.UUID")
        if self.token is not None and self.deadline > LONGEST_DEADLINE:
            raise ValueError(
                f"with a token the deadline may be {LONGEST_DEADLINE:.0f} s at most: tokens last for a day"
            )

    def transaction(self, seconds: float | None) -> TransactionOptions:
        """How an attempt begins; one after a COMMIT that nobody answered waits so many seconds for that to end."""
        if self.token is None:
            options = options_of(self.isolation)
            return replace(options, settings=self.settings) if self.settings else options
        insert = _INSERT_TOKEN.format(token=self.token)
        if seconds is not None:
            insert = _AWAIT_TOKEN.format(milliseconds=max(1, round(seconds * 1000)), insert=insert)
        return TransactionOptions(self.isolation, first=insert, settings=self.settings)


class Run(Generic[T]):
    """One call of run()."""

    __slots__ = ("_attempts", "_ends", "_function", "_lease", "_options", "_place", "_problem", "_result", "_unproven")

    def __init__(self, lease: Lease, options: RunOptions, function: Callable[[Connection], Awaitable[T]]) -> None:
        options.check()
        self._lease = lease
        self._options = options
        self._place = place_of_caller()
        self._function = function
        self._ends = monotonic() + options.deadline
        self._unproven: CommitUnknown | None = None
        self._result: T | None = None
        self._problem: Exception | None = None
        self._attempts = 0

    async def result(self) -> T:
        """The function's result, once that is committed; see Database.run()."""
        for tries in count():
            try:
                async with self._begin() as tx:
                    # With a token this is the proof that no attempt before was committed, nor will be.
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

    async def _in_time(self, tx: Connection) -> T:
        """Only the function is stopped at the deadline: a COMMIT that is stopped would leave a question."""
        limit = self._lease.limits.until(self._ends)
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

    def _begin(self) -> TransactionLoan:
        left = self._ends - monotonic()
        options = self._options.transaction(left if self._unproven else None)
        return TransactionLoan(self._lease, min(left, self._lease.options.acquire_timeout), self._place, options)

    def _is_proof(self, error: Exception) -> bool:
        """Whether the token is there already, by the attempt before; TokenUsed when it was there from the beginning."""
        if not isinstance(error, asyncpg.UniqueViolationError) or error.constraint_name != _TOKEN_KEY:
            return False
        if self._unproven is None:
            raise TokenUsed(f"a transaction with the token {self._options.token} was committed before") from error
        return True

    def _deserves_another(self, error: Exception) -> bool:
        return self._attempts < self._options.attempts and _is_retried(error)

    async def _pause(self, tries: int, problem: Exception) -> None:
        """Wait a moment, each time up to twice as long and never in step with others; the problem if time is up."""
        delay = random.uniform(0, min(_FIRST_DELAY * 2**tries, _LONGEST_DELAY))  # noqa: S311 - no secret
        if monotonic() + delay >= self._ends:
            if self._unproven is None or problem is self._unproven:
                raise problem
            raise self._unproven from problem
        await asyncio.sleep(delay)


def _is_retried(error: BaseException) -> bool:
    """Whether a new transaction may well succeed: this error says so, one that it came of, or one of its group.

    One of a group is enough: once a conflict has ended the transaction, its other tasks fail for that reason.
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
