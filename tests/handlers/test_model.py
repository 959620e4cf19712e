"""The API against a model of it in plain Python: any requests in any order, by people with and without a token."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any

import httpx2
import pytest
from hypothesis import Phase, settings
from hypothesis.stateful import run_state_machine_as_test

from app.db import Database
from app.handlers import articles
from tests.handlers.generated import bounded
from tests.handlers.machine import People

Compare = Callable[[settings], Awaitable[None]]
FEW = settings(
    bounded(20),
    max_examples=20,
    derandomize=True,
    stateful_step_count=30,
    phases=[Phase.generate],
    report_multiple_bugs=False,
)
ANSWER_TIMEOUT = 60
# The service uses the module while hypothesis draws in another thread.
pytestmark = pytest.mark.filterwarnings(
    "ignore:Do not use the `random` module inside strategies:hypothesis.errors.HypothesisDeprecationWarning"
)


@pytest.fixture
async def compare(client: httpx2.AsyncClient, db: Database) -> Compare:
    """Runs the machine on this test's own service. It runs in a thread, since hypothesis is not a coroutine."""
    loop = asyncio.get_running_loop()

    class Fresh(People):
        """People of a service that has stored nothing yet."""

        @staticmethod
        def send(method: str, path: str, **options: Any) -> httpx2.Response:
            request = client.request(method, path, **options)
            return asyncio.run_coroutine_threadsafe(request, loop).result(ANSWER_TIMEOUT)

        def __init__(self) -> None:
            super().__init__()
            emptied = db.execute("truncate users, login_attempts cascade")
            asyncio.run_coroutine_threadsafe(emptied, loop).result(ANSWER_TIMEOUT)

    return lambda examples: asyncio.to_thread(partial(run_state_machine_as_test, Fresh, settings=examples))


async def test_the_api_does_what_the_model_does(compare: Compare) -> None:
    await compare(settings(bounded(8), stateful_step_count=40))


async def test_the_model_finds_counters_that_do_not_count(compare: Compare, db: Database) -> None:
    await db.execute("alter table favorites disable trigger user")

    with pytest.raises(AssertionError, match="favoritesCount"):
        await compare(FEW)


async def test_the_model_finds_an_author_who_is_not_asked(compare: Compare, monkeypatch: pytest.MonkeyPatch) -> None:
    def nothing(*_: object) -> None: ...

    monkeypatch.setattr(articles, "_require_author", nothing)

    with pytest.raises(AssertionError, match=r"20[04], not 403"):
        await compare(FEW)
