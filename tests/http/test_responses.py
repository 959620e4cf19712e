"""How answers are written."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest

from app.http.responses import json_response, timestamp

INDIA = timezone(timedelta(hours=5, minutes=30))


@pytest.mark.parametrize(
    ("moment", "text"),
    [
        (datetime(2026, 1, 31, 12, 0, 0, 0, UTC), "2026-01-31T12:00:00.000Z"),
        (datetime(2026, 1, 31, 12, 0, 0, 1, UTC), "2026-01-31T12:00:00.000Z"),
        (datetime(2026, 1, 31, 12, 0, 0, 20_000, UTC), "2026-01-31T12:00:00.020Z"),
        (datetime(2026, 1, 31, 12, 0, 0, 999_999, UTC), "2026-01-31T12:00:00.999Z"),
        (datetime(2026, 1, 31, 12, 0, 0, 5000, INDIA), "2026-01-31T06:30:00.005Z"),
        (datetime(1, 1, 1, tzinfo=UTC), "0001-01-01T00:00:00.000Z"),
        (datetime.max.replace(tzinfo=UTC), "9999-12-31T23:59:59.999Z"),
    ],
)
def test_a_moment_is_iso_8601_in_utc_with_milliseconds(moment: datetime, text: str) -> None:
    assert timestamp(moment) == text


def test_an_answer_has_its_length_first_and_its_headers_last() -> None:
    answer = json_response({"a": ["é", 1, None, True]}, 201, {"X-Name": "value"})

    assert answer.status_code == 201
    assert answer.body == '{"a":["é",1,null,true]}'.encode()
    assert answer.raw_headers == [
        (b"content-length", b"24"), (b"content-type", b"application/json"), (b"x-name", b"value")
    ]  # fmt: skip
