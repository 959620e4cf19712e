"""The entries of the outside contest keep its rules."""

from __future__ import annotations

import asyncio

import psycopg
import pytest

from benchmarks.processes import process
from benchmarks.techempower.__main__ import MODULES
from benchmarks.techempower.data import create
from benchmarks.techempower.verify import Broken, check_fortunes, check_world, verify


@pytest.mark.parametrize("name", MODULES)
def test_both_services_keep_the_rules(name: str, database_url: str) -> None:
    asyncio.run(create(database_url))

    def numbers() -> dict[int, int]:
        with psycopg.connect(database_url) as connection:
            return dict(connection.execute("select id, randomnumber from world").fetchall())

    with process([MODULES[name]], {"DATABASE_URL": database_url}) as port:
        verify(port, numbers)


def test_a_service_that_breaks_a_rule_is_found() -> None:
    with pytest.raises(Broken, match="randomNumber is 10001"):
        check_world({"id": 1, "randomNumber": 10_001}, "/db")
    with pytest.raises(Broken, match="not escaped"):
        check_fortunes("<!DOCTYPE html><html><head><title>Fortunes</title></head><script>")
