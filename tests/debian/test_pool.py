"""The pool on PostgreSQL 15: what the tests of the pool say of 18 is as true here."""

from __future__ import annotations

import pytest

from tests.db.conftest import network
from tests.db.test_acquire import *  # noqa: F403 - the same tests on another server
from tests.db.test_effects import *  # noqa: F403 - the same tests on another server
from tests.db.test_health import *  # noqa: F403 - the same tests on another server
from tests.db.test_lifecycle import *  # noqa: F403 - the same tests on another server
from tests.db.test_session_state import *  # noqa: F403 - the same tests on another server
from tests.debian.databases import direct_url

__all__ = ["direct_url", "network"]
pytestmark = pytest.mark.debian
