"""The promises about transactions, on PostgreSQL 15."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from app.migrations import apply_migrations
from tests.db.test_locks import test_a_block_whose_lock_is_lost_is_cancelled, test_one_at_a_time_holds_a_lock
from tests.db.test_notifications import test_a_lost_connection_comes_back_with_a_gap
from tests.db.test_run import (
    far,
    network,
    test_a_commit_that_did_not_happen_is_run_again,
    test_a_commit_whose_answer_is_lost_is_proven,
    test_no_update_is_lost_among_serializable_transactions,
    test_without_a_token_a_commit_that_nobody_answers_is_not_repeated,
)
from tests.db.test_transaction import (
    entries,
    test_a_cancelled_task_stops_its_statement_on_the_server,
    test_a_failure_in_a_savepoint_that_was_rolled_back_does_not_count,
    test_a_savepoint_that_ends_after_a_swallowed_failure_is_undone_alone,
    test_a_swallowed_failure_is_told_at_the_end,
    test_a_task_that_is_cancelled_anywhere_stores_all_or_nothing,
)
from tests.debian.conftest import DebianPostgres
from tests.debian.databases import fresh_database

__all__ = [
    "entries",
    "far",
    "network",
    "test_a_block_whose_lock_is_lost_is_cancelled",
    "test_a_cancelled_task_stops_its_statement_on_the_server",
    "test_a_commit_that_did_not_happen_is_run_again",
    "test_a_commit_whose_answer_is_lost_is_proven",
    "test_a_failure_in_a_savepoint_that_was_rolled_back_does_not_count",
    "test_a_lost_connection_comes_back_with_a_gap",
    "test_a_savepoint_that_ends_after_a_swallowed_failure_is_undone_alone",
    "test_a_swallowed_failure_is_told_at_the_end",
    "test_a_task_that_is_cancelled_anywhere_stores_all_or_nothing",
    "test_no_update_is_lost_among_serializable_transactions",
    "test_one_at_a_time_holds_a_lock",
    "test_without_a_token_a_commit_that_nobody_answers_is_not_repeated",
]
pytestmark = [pytest.mark.debian, pytest.mark.usefixtures("entries")]


@pytest.fixture
def direct_url(debian_postgres: DebianPostgres) -> Iterator[str]:
    """A migrated database of this test's own on the older server."""
    with fresh_database(debian_postgres.dsn) as dsn:
        apply_migrations(dsn)
        yield dsn
