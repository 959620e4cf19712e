"""A way to the server that a test can look at, hold up and cut."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from tests.network import Network


@pytest.fixture
async def network(database_url: str) -> AsyncIterator[Network]:
    """The way to this test's own database."""
    async with Network(database_url) as network:
        yield network
