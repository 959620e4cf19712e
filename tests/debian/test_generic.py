"""What is refused at the first run since it has no plan for any arguments, on PostgreSQL 15: the same as on 18."""

from __future__ import annotations

import pytest

from tests.db.conftest import write_queries
from tests.db.test_generic import *  # noqa: F403 - the same tests on another server
from tests.debian.databases import direct_url

__all__ = ["direct_url", "write_queries"]
pytestmark = pytest.mark.debian
