"""run() runs a function until it is committed, once; with a token it knows so even when COMMIT was not answered."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from uuid import uuid4

import asyncpg
import pytest

from app.db import (
    CommitUnknown,
    Conflict,
    Connection,
    Database,
    DatabaseUnavailable,
    StatementTimeout,
    TokenUsed,
    TransactionAborted,
)
from tests.db.ledger import (
    add_entry,
    create_entries,
    end_commits,
    find_amount,
    held_commits,
    stored,
    until_committing,
)
from tests.network import Network

pytestmark = pytest.mark.usefixtures("entries")

TOKENS = "select count(*) from commit_tokens"


@pytest.fixture
async def entries(db: Database) -> None:
    await create_entries(db)


@pytest.fixture
async def network(database_url: str) -> AsyncIterator[Network]:
    async with Network(database_url) as network:
        yield network


@pytest.fixture
async def far(network: Network) -> AsyncIterator[Database]:
    """The same database, through a network that can be cut."""
    async with Database(network.dsn, min_size=1, max_size=3) as far:
        yield far


class Grouped:
    """Fails inside so many task groups, one in another, with the conflict and others beside it."""

    def __init__(self, depth: int, *beside: Exception) -> None:
        self.depth, self.beside, self.tries = depth, beside, 0

    async def __call__(self, tx: Connection) -> int:
        self.tries += 1
        if self.tries < 3:
            await self._fail(tx, self.depth)
        return self.tries

    async def _fail(self, tx: Connection, depth: int) -> None:
        if depth == 0:
            await tx.execute("do $$ begin raise serialization_failure; end $$")
        async with asyncio.TaskGroup() as group:
            for error in self.beside:
                group.create_task(_raise_later(error))
            group.create_task(self._fail(tx, depth - 1))


async def _raise_later(error: Exception) -> None:
    try:
        await asyncio.Event().wait()
    finally:
        raise error


@pytest.mark.parametrize("depth", [1, 2])
@pytest.mark.parametrize("beside", [(), (ValueError("of another task"),)])
async def test_a_conflict_inside_a_task_group_is_tried_again(
    db: Database, depth: int, beside: tuple[Exception, ...]
) -> None:
    assert await db.run(Grouped(depth, *beside)) == 3


async def test_a_group_without_a_conflict_is_raised_as_it_is(db: Database) -> None:
    tries = 0

    async def fail(tx: Connection) -> None:
        nonlocal tries
        tries += 1
        raise ExceptionGroup("both", [ValueError("one"), ExceptionGroup("inner", [KeyError("two")])])

    with pytest.raises(ExceptionGroup, match="both"):
        await db.run(fail)
    assert tries == 1


class Work:
    """Adds an entry, after as many failures as it was told."""

    def __init__(self, *failures: Exception | str) -> None:
        self.failures = list(failures)
        self.runs = 0

    async def __call__(self, tx: Connection, amount: int = 1) -> int:
        self.runs += 1
        await add_entry(tx, id=self.runs, amount=amount)
        if self.failures:
            failure = self.failures.pop(0)
            if isinstance(failure, Exception):
                raise failure
            await tx.execute(f"do $$ begin raise exception 'made up' using errcode = '{failure}'; end $$")
        return self.runs


async def test_the_result_is_that_of_a_committed_transaction(db: Database) -> None:
    assert await db.run(Work(), 5) == 1
    assert await find_amount(db, id=1) == 5


@pytest.mark.parametrize("sqlstate", ["40001", "40P01"])
async def test_the_whole_function_runs_again_after_a_conflict_of_transactions(db: Database, sqlstate: str) -> None:
    assert await db.run(Work(sqlstate, sqlstate), amount=7) == 3
    assert await stored(db) == [3]


async def test_an_error_that_is_no_conflict_is_raised_at_once(db: Database) -> None:
    work = Work(KeyError("mine"))
    with pytest.raises(KeyError):
        await db.run(work)

    assert (work.runs, await stored(db)) == (1, [])


async def test_attempts_come_to_an_end(db: Database) -> None:
    work = Work(*["40001"] * 9)
    with pytest.raises(asyncpg.SerializationError):
        await db.run(work, attempts=3)

    assert (work.runs, await stored(db)) == (3, [])


async def test_a_conflict_that_outlasts_the_deadline_is_raised(db: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    # Any pause between none and this is beyond the deadline, but for one in a thousand million.
    for name in ("_FIRST_DELAY", "_LONGEST_DELAY"):
        monkeypatch.setattr(f"app.db.run.{name}", 30e9)
    work = Work("40001")
    with pytest.raises(asyncpg.SerializationError):
        await db.run(work, deadline=30)

    assert (work.runs, await stored(db)) == (1, [])


async def test_an_attempt_that_is_stopped_at_the_deadline_says_why_it_was_not_the_first(db: Database) -> None:
    first = True

    async def work(_: Connection) -> None:
        nonlocal first
        if not first:
            await asyncio.sleep(60)
        first = False
        raise asyncpg.SerializationError("made up")

    with pytest.raises(StatementTimeout, match=r"attempt 2, the one before failed: made up$"):
        await db.run(work, deadline=3)


async def test_a_function_that_takes_too_long_is_stopped_and_stores_nothing(db: Database) -> None:
    async def work(tx: Connection) -> None:
        await add_entry(tx, id=1, amount=1)
        await asyncio.sleep(60)

    with pytest.raises(StatementTimeout):
        await db.run(work, deadline=0.3)
    assert await stored(db) == []


async def test_a_time_out_of_the_functions_own_is_its_own(db: Database) -> None:
    async def work(tx: Connection) -> None:
        async with asyncio.timeout(0.01):
            await asyncio.sleep(60)

    with pytest.raises(TimeoutError) as own:
        await db.run(work)
    assert type(own.value) is TimeoutError


async def test_a_swallowed_conflict_runs_again_too(db: Database) -> None:
    failures = ["40001"]

    async def work(tx: Connection) -> None:
        if failures:
            with pytest.raises(asyncpg.SerializationError):
                await tx.execute(f"do $$ begin raise exception 'made up' using errcode = '{failures.pop()}'; end $$")
        else:
            await add_entry(tx, id=1, amount=1)

    await db.run(work)
    assert await stored(db) == [1]


async def test_a_swallowed_failure_of_another_kind_is_told(db: Database) -> None:
    async def work(tx: Connection) -> None:
        with pytest.raises(asyncpg.DivisionByZeroError):
            await tx.fetch("select 1 / 0")

    with pytest.raises(TransactionAborted):
        await db.run(work)


async def test_no_update_is_lost_among_serializable_transactions(db: Database) -> None:
    await add_entry(db, id=1, amount=0)

    async def add_one(tx: Connection) -> None:
        amount = await find_amount(tx, id=1)
        assert amount is not None
        await tx.execute("update entries set amount = $1 where id = 1", amount + 1)

    await asyncio.gather(*(db.run(add_one, isolation="serializable", attempts=100) for _ in range(5)))
    assert await find_amount(db, id=1) == 5


async def test_on_a_connection_it_is_a_savepoint_and_runs_once(db: Database) -> None:
    work = Work("40001")
    async with db.transaction() as tx:
        with pytest.raises(asyncpg.SerializationError):
            await tx.run(work)
        await tx.run(work)

    assert (work.runs, await stored(db)) == (2, [2])


async def test_a_token_is_stored_with_the_work_and_not_without(db: Database) -> None:
    with pytest.raises(KeyError):
        await db.run(Work(KeyError("mine")), token=uuid4())
    assert await db.fetchval(TOKENS) == 0

    await db.run(Work(), token=uuid4())
    assert await db.fetchval(TOKENS) == 1


async def test_a_token_is_good_for_one_commit(db: Database) -> None:
    token, again = uuid4(), Work()
    await db.run(Work("40001"), token=token)
    with pytest.raises(TokenUsed):
        await db.run(again, token=token)

    assert (again.runs, await stored(db)) == (0, [2])


async def test_old_tokens_are_forgotten(db: Database) -> None:
    await db.run(Work(), token=uuid4())
    await db.execute("insert into commit_tokens values (gen_random_uuid(), now() - interval '25 hours')")

    assert await db.forget_tokens() == 1
    assert await db.fetchval(TOKENS) == 1


async def test_a_conflict_on_the_works_own_key_is_not_taken_for_the_token(db: Database) -> None:
    await add_entry(db, id=1, amount=1)
    with pytest.raises(Conflict):
        await db.run(Work(), token=uuid4())


@pytest.mark.parametrize("options", [{"attempts": 0}, {"deadline": 0}, {"deadline": 7200, "token": uuid4()}])
async def test_options_that_make_no_sense_are_refused(db: Database, options: dict[str, float]) -> None:
    with pytest.raises(ValueError, match=r"attempts|deadline"):
        await db.run(Work(), **options)  # pyright: ignore[reportArgumentType] - any of them


async def test_without_a_token_a_commit_that_nobody_answers_is_not_repeated(
    db: Database, far: Database, network: Network
) -> None:
    work = Work()
    async with held_commits(db):
        running = asyncio.create_task(far.run(work))
        await until_committing(db)
        await network.cut()
        await network.mend()
        with pytest.raises(CommitUnknown):
            await running

    assert work.runs == 1


async def test_a_commit_whose_answer_is_lost_is_proven(db: Database, far: Database, network: Network) -> None:
    work = Work()
    async with held_commits(db):
        running = asyncio.create_task(far.run(work, token=uuid4()))
        await until_committing(db)
        await network.cut()
        await network.mend()

    assert await running == 1
    assert (work.runs, await stored(db)) == (1, [1])


async def test_a_commit_that_did_not_happen_is_run_again(db: Database, far: Database) -> None:
    work = Work()
    async with held_commits(db):
        running = asyncio.create_task(far.run(work, token=uuid4()))
        await until_committing(db)
        await end_commits(db)

    assert await running == 2
    assert (work.runs, await stored(db)) == (2, [2])


async def test_without_a_server_until_the_deadline_a_commit_stays_a_question(
    db: Database, far: Database, network: Network
) -> None:
    async with held_commits(db):
        running = asyncio.create_task(far.run(Work(), token=uuid4(), deadline=3))
        await until_committing(db)
        await network.cut()
        with pytest.raises(CommitUnknown):
            await running
        await network.mend()


async def test_a_connection_lost_before_commit_is_certain(db: Database) -> None:
    async def work(tx: Connection) -> None:
        await add_entry(tx, id=1, amount=1)
        await tx.execute("select pg_terminate_backend(pg_backend_pid())")

    with pytest.raises(DatabaseUnavailable):
        await db.run(work, token=uuid4())
    assert await stored(db) == []


async def test_a_token_that_was_used_leaves_a_clean_connection(database_url: str) -> None:
    token = uuid4()
    async with Database(database_url, min_size=1, max_size=1) as db:
        await db.run(Work(), token=token)
        with pytest.raises(TokenUsed):
            await db.run(Work(), token=token)
        async with db.acquire() as connection:
            assert not connection.is_in_transaction()


async def test_a_duplicate_of_the_works_own_is_not_taken_for_its_token(db: Database) -> None:
    async def work(tx: Connection) -> None:
        await tx.execute("insert into entries values (1, 1), (1, 1)")

    with pytest.raises(asyncpg.UniqueViolationError):
        await db.run(work, token=uuid4())


async def test_an_error_after_the_proof_that_nothing_was_stored_is_raised_at_once(db: Database, far: Database) -> None:
    runs: list[int] = []

    async def work(tx: Connection) -> None:
        runs.append(len(runs))
        await add_entry(tx, id=1, amount=1)
        if len(runs) > 1:
            raise KeyError("mine")

    async with held_commits(db):
        running = asyncio.create_task(far.run(work, token=uuid4()))
        await until_committing(db)
        await end_commits(db)

    with pytest.raises(KeyError):
        await running
    assert (len(runs), await stored(db)) == (2, [])


async def test_the_proof_does_not_wait_for_an_old_commit_beyond_the_deadline(
    db: Database, far: Database, network: Network
) -> None:
    async with held_commits(db):
        running = asyncio.create_task(far.run(Work(), token=uuid4(), deadline=3))
        await until_committing(db)
        await network.cut()
        await network.mend()
        async with asyncio.timeout(30):
            with pytest.raises(CommitUnknown):
                await running

        assert await end_commits(db) == 1
