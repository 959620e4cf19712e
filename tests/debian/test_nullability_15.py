"""The proofs on PostgreSQL 15, which does not mark columns with the joins that null them: the tests of the others."""

import asyncpg
import pytest

from tests.check import conftest, test_fuzz
from tests.check.test_cardinality import *  # noqa: F403 - every test of the module
from tests.check.test_cardinality import ProveRows
from tests.check.test_elements import *  # noqa: F403 - every test of the module
from tests.check.test_nullability import *  # noqa: F403 - every test of the module
from tests.check.test_nullability_joins import *  # noqa: F403 - every test of the module
from tests.check.test_nullability_queries import *  # noqa: F403 - every test of the module
from tests.check.test_nullability_relations import *  # noqa: F403 - every test of the module
from tests.check.test_tree import *  # noqa: F403 - every test of the module
from tests.debian.conftest import DebianPostgres

pytestmark = pytest.mark.debian
connection = conftest.connection
prove = conftest.prove
test_no_proof_is_wrong = test_fuzz.test_no_proof_is_wrong


@pytest.fixture
def analysing_dsn(debian_postgres: DebianPostgres) -> str:
    """The server in the place of the embedded ones."""
    return debian_postgres.dsn


async def test_a_collation_that_calls_different_texts_equal_is_not_the_key_s(
    at_most_one: ProveRows, connection: asyncpg.Connection
) -> None:
    # Here, as the embedded servers have no such collation.
    await connection.execute("create table word (t text primary key)")
    await connection.execute("create collation ci (provider = icu, locale = 'und-u-ks-level2', deterministic = false)")
    assert (await at_most_one("select * from word where t = $2")).proved
    assert not (await at_most_one("select * from word where t = $2 collate ci")).proved
