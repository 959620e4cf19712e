"""Migrations under a running program, on PostgreSQL 15: what the tests say of 18 is as true here."""

from __future__ import annotations

import pytest

from tests.db.conftest import write_queries
from tests.db.test_column_types import *  # noqa: F403 - the same tests on another server
from tests.debian.databases import direct_url

__all__ = ["direct_url", "write_queries"]
pytestmark = pytest.mark.debian
