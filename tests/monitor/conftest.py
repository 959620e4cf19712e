"""Fixtures: an operator on this machine, and strangers."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from typing import Any

import httpx2
import pytest
from pydantic import SecretStr
from starlette.applications import Starlette

from app.settings import Settings

TOKEN = "the operator's token, which is long enough"

Connect = Callable[..., httpx2.AsyncClient]


@pytest.fixture
def service_dsn(database_url: str) -> str:
    """The DSN of a superuser: these tests break the database by the service's own pool."""
    return database_url


@pytest.fixture
def settings(settings: Settings) -> Settings:
    """The settings of a service with an operator's token, behind one proxy."""
    changes: dict[str, Any] = {"monitor_token": SecretStr(TOKEN)}
    return Settings.model_validate(
        {**settings.model_dump(exclude_unset=True), **changes, "trusted_proxies": "10.0.0.0/8"}
    )


@pytest.fixture
async def connect(app: Starlette) -> AsyncIterator[Connect]:
    """Return a client at an address, which asks for the service by a name."""
    async with AsyncExitStack() as stack:
        clients: list[httpx2.AsyncClient] = []

        def connect(address: str = "127.0.0.1", host: str = "127.0.0.1:8000", **headers: str) -> httpx2.AsyncClient:
            transport = httpx2.ASGITransport(app=app, client=(address, 1), raise_app_exceptions=False)
            named = {name.replace("_", "-"): value for name, value in headers.items()}
            client = httpx2.AsyncClient(transport=transport, base_url=f"http://{host}", headers=named)
            clients.append(client)
            stack.push_async_callback(client.aclose)
            return client

        yield connect


@pytest.fixture
def operator(connect: Connect) -> httpx2.AsyncClient:
    """Someone on this machine."""
    return connect()
