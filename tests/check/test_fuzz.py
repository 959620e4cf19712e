"""Random statements: nothing that is proved may turn out to be wrong."""

import random

import asyncpg
import pytest
from click.testing import CliRunner

from app.check.postgres.proofs import scope
from tests.check.fuzz.run import main, run_fuzz
from tests.check.fuzz.statements import Statements

STATEMENTS = 150


async def test_no_proof_is_wrong(analysing_dsn: str) -> None:
    seed = random.SystemRandom().randrange(1_000_000)
    connection = await asyncpg.connect(analysing_dsn)
    try:
        report = await run_fuzz(connection, seed=seed, count=STATEMENTS)
    finally:
        await connection.close()
    print(f"seed {seed}: {report}")
    assert report.unsound == []
    assert report.statements == STATEMENTS
    # Enough of them run, are null and are proved not to be, for the run to say anything.
    assert report.refused < STATEMENTS / 2
    assert report.nulls > STATEMENTS / 10
    assert report.never_null > STATEMENTS / 10
    assert report.at_most_one > STATEMENTS / 20


def test_a_wrong_proof_is_found_and_named(server_dsn: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scope, "null_extended", lambda _from: iter(()))  # pyright: ignore[reportUnknownLambdaType, reportUnknownArgumentType] - broken on purpose
    arguments = ["--seed", "77", "--first", "240", "--count", "40", "--dsn", server_dsn]
    result = CliRunner().invoke(main, arguments)
    assert result.exit_code == 1
    assert "seed 77: 40 statements" in result.stdout
    assert "is null:\n" in result.stderr


def test_the_command_prints_the_seed_that_it_chose(server_dsn: str) -> None:
    result = CliRunner().invoke(main, ["--count", "2", "--dsn", server_dsn])
    assert (result.exit_code, result.stderr) == (0, "")
    assert "seed " in result.stdout
    assert "0 proofs wrong" in result.stdout


async def test_a_run_leaves_nothing_behind(server_dsn: str) -> None:
    connection = await asyncpg.connect(server_dsn)
    try:
        await run_fuzz(connection, seed=1, count=3)
        path = await connection.fetchval("show search_path")
        assert await connection.fetchval("select count(*) from pg_namespace where nspname = $1", path) == 0
    finally:
        await connection.close()


def test_a_seed_makes_the_same_statements_again() -> None:
    relations = {"people": [("id", "int"), ("name", "text")]}
    first, again, other = (
        [Statements(random.Random(f"{seed}/{n}"), relations, 15)._plain(["int"]) for n in range(20)]  # pyright: ignore[reportPrivateUsage] - the part that repeats
        for seed in (1, 1, 2)
    )
    assert first == again
    assert first != other


def test_a_server_that_is_not_there_is_one_line() -> None:
    result = CliRunner().invoke(main, ["--dsn", "postgresql://127.0.0.1:1/nowhere", "--count", "1"])

    assert result.exit_code == 1
    assert result.output.startswith("Error: cannot connect: ")
