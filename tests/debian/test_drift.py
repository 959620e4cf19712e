"""Migrations under a running program, on PostgreSQL 15: what the tests say of 18 is as true here."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.db.conftest import write_queries
from tests.db.test_drift import *  # noqa: F403 - the same tests on another server
from tests.debian.conftest import DebianPostgres
from tests.debian.databases import fresh_database

__all__ = ["write_queries"]
pytestmark = pytest.mark.debian


@pytest.fixture
def database_url(debian_postgres: DebianPostgres) -> Iterator[str]:
    """A database on PostgreSQL 15, in place of the one on the embedded server."""
    with fresh_database(debian_postgres.dsn) as dsn:
        yield dsn
