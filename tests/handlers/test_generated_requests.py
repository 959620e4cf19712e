"""Requests that schemathesis makes up from /openapi.json, valid ones and others: each gets an answer it promises."""

from __future__ import annotations

import asyncio
from typing import Any

import httpx2
import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from schemathesis import GenerationMode
from schemathesis.checks import CHECKS, load_all_checks  # pyright: ignore[reportUnknownVariableType] - partial types
from starlette.applications import Starlette

from tests.documented import OpenApiDocument
from tests.handlers.generated import bounded
from tests.handlers.people import Person

ANSWER_TIMEOUT = 60
# The service uses the module while hypothesis draws in another thread.
pytestmark = pytest.mark.filterwarnings(
    "ignore:Do not use the `random` module inside strategies:hypothesis.errors.HypothesisDeprecationWarning"
)

load_all_checks()
# It sends requests of its own, for which it needs a server; tests/handlers/test_authorisation.py does the same.
IGNORED_AUTH: Any = CHECKS.get_one("ignored_auth")  # pyright: ignore[reportUnknownVariableType] - the same
# Names that an operation does not know are ignored, and are no reason to refuse a request.
REJECTION: Any = CHECKS.get_one("negative_data_rejection")  # pyright: ignore[reportUnknownVariableType] - the same
ACCEPTANCE: Any = CHECKS.get_one("positive_data_acceptance")  # pyright: ignore[reportUnknownVariableType] - the same


@pytest.mark.long
@pytest.mark.parametrize("mode", GenerationMode)
async def test_every_generated_request_gets_an_answer_that_the_document_promises(
    client: httpx2.AsyncClient, app: Starlette, ann: Person, openapi_document: OpenApiDocument, mode: GenerationMode
) -> None:
    article = await ann.writes()
    known = {"slug": article["slug"], "username": "ann", "id": (await ann.comments(article))["id"]}
    loop, statuses = asyncio.get_running_loop(), set[int]()

    def send(case: Any) -> httpx2.Response:
        sent = case.as_transport_kwargs(base_url="http://testserver", headers=ann.headers)
        sent.pop("cookies", None)  # The service reads none.
        if isinstance(sent.get("data"), bytes | str):
            sent["content"] = sent.pop("data")
        return asyncio.run_coroutine_threadsafe(client.request(**sent), loop).result(ANSWER_TIMEOUT)

    def attempt(operation: Any) -> None:
        values = {each.name: known[each.name] for each in operation.path_parameters} if mode.is_positive else None

        @settings(
            bounded(6),
            suppress_health_check=[HealthCheck.filter_too_much, HealthCheck.too_slow, HealthCheck.data_too_large],
        )
        @given(case=operation.as_strategy(mode, path_parameters=values or None))
        def every_answer_is_promised(case: Any) -> None:
            answer = send(case)
            statuses.add(answer.status_code)
            both = {"cursor", "offset"} <= set(case.query or {})
            # They exclude each other, which a schema cannot say.
            unsaid: list[Any] = [ACCEPTANCE] if both else []
            case.validate_response(answer, excluded_checks=[IGNORED_AUTH, REJECTION, *unsaid])

        every_answer_is_promised()

    schema: Any = schemathesis.openapi.from_dict(openapi_document.document)
    for found in schema.get_all_operations():
        operation = found.ok()
        if mode.is_positive or operation.query or operation.body:
            await asyncio.to_thread(attempt, operation)
    assert statuses >= ({200, 201, 204} if mode.is_positive else {400, 401, 404, 422})
