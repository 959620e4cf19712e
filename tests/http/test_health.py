"""What an orchestrator asks: does the process live, and can it serve."""

from __future__ import annotations

import httpx2
import pytest

from app.migration_files import migration_ids
from app.migrations import rollback_migrations


@pytest.mark.parametrize("path", ["/health/live", "/health/ready"])
async def test_a_service_on_a_migrated_database_lives_and_is_ready(client: httpx2.AsyncClient, path: str) -> None:
    answer = await client.get(path)

    assert (answer.status_code, answer.json()) == (200, {"status": "ok", "environment": "development"})


async def test_pending_migrations_are_named(client: httpx2.AsyncClient, database_url: str) -> None:
    assert (await client.get("/health/ready")).status_code == 200
    undone = rollback_migrations(database_url, 2)

    answer = await client.get("/health/ready")

    assert (answer.status_code, answer.json()["status"]) == (503, "unavailable")
    assert [name for name in migration_ids() if name in answer.json()["reason"]] == sorted(undone)
    assert (await client.get("/health/live")).status_code == 200


async def test_a_database_without_any_migration_is_not_ready(client: httpx2.AsyncClient, database_url: str) -> None:
    rollback_migrations(database_url, "all")

    answer = await client.get("/health/ready")

    assert (answer.status_code, answer.json()["status"]) == (503, "unavailable")
    assert [name for name in migration_ids() if name in answer.json()["reason"]] == migration_ids()
