"""Which arrays are proved to hold no null."""

from collections.abc import Awaitable, Callable

import asyncpg
import pytest

from app.check.postgres.proofs.analysis import analysed_tree
from app.check.postgres.proofs.catalog import load_catalog
from app.check.postgres.proofs.elements import prove_elements
from tests.check.proofs import SCHEMA

ProveElements = Callable[[str], Awaitable[list[bool]]]


@pytest.fixture
async def holds_no_null(connection: asyncpg.Connection) -> ProveElements:
    """Proves of each column of a statement whether it is an array without nulls; each statement is also run."""
    await connection.execute(SCHEMA)
    await connection.execute("create view lists as select array_agg(n) as whole, array_agg(x) as torn from a")
    await connection.execute("create table stored (list int[] not null)")

    async def prove(text: str) -> list[bool]:
        tree = await analysed_tree(connection, text, [])
        proved = prove_elements(tree, await load_catalog(connection, tree))
        for row in await connection.fetch(text):
            for value, never in zip(row, proved, strict=True):
                assert not (never and value and None in value), text
        return proved

    return prove


# Of table a, n is never null and x can be.
@pytest.mark.parametrize(
    "array",
    [
        "array[n, 1]",
        "array[array[n], array[1]]",
        "array(select n from a)",
        "array(select n from a union all select 1)",
        "array(select array[n] from a)",
        "array(select x from a where x is not null)",
        "(select array[n])",
        "'{1,2}'::int[]",
        "'{}'::int[]",
        "null::int[]",
        "coalesce('{1}'::int[], array[n])",
        "greatest(array[n], array[1])",
        "nullif(array[n], array[x])",
        "case when n = 1 then array[n] end",
        "array_append(array[n], 1)",
        "array_prepend(n, '{1}')",
        "array[n] || n",
        "n || array[n]",
        "array[n] || array[1]",
        "array_cat(array[n], array[1])",
        "array_remove(array[n, x], null)",
        "array_remove(array[n], x)",
        "trim_array(array[n, 1], 1)",
        "(array[n, 1])[1:1]",
        "(array[n, 1])[:1]",
        "array[n]::bigint[]",
        "array[n]::text[]",
        "array['a'::text]::varchar[]",
        "array['a'::text] collate \"C\"",
        "string_to_array(t, ',')",
        "regexp_split_to_array(t, ',')",
        "(with recursive r (l) as (select array[n] union all select l || 1 from r where cardinality(l) < 3)"
        " select l from r limit 1)",
        "(select l from (values (array[n]), (array[1])) as v (l) limit 1)",
        "(select whole from lists)",
    ],
)
async def test_an_array_of_what_is_never_null_holds_no_null(holds_no_null: ProveElements, array: str) -> None:
    assert await holds_no_null(f"select {array} from a") == [True]


@pytest.mark.parametrize(
    "array",
    [
        "array[n, x]",
        "array[array[n], array[x]]",
        "array(select x from a)",
        "array(select n from a union all select null)",
        "array(select array[x] from a)",
        "(select array[x])",
        "'{1,null}'::int[]",
        "coalesce(array[n], array[x])",
        "case when n = 1 then array[n] else array[x] end",
        "nullif(array[x], array[n])",
        "array_append(array[n], x)",
        "array_append(array[x], n)",
        "array_prepend(x, '{1}')",
        "array[n] || x",
        "array[n] || array[x]",
        "array_remove(array[n, x], 1)",
        "trim_array(array[x, 1], 1)",
        "(array[n, x])[1:2]",
        "array[x]::bigint[]",
        "'{1,null}'::text::int[]",
        "string_to_array('a,b', ',', 'a')",
        "regexp_match('a', '(a)|(b)')",
        "array_fill(x, array[2])",
        "(select max(array[x]) from a)",
        "(select l from regexp_matches('b', '(a)|(b)') as r (l))",
        "(with recursive r (l, k) as (select array[n], 1 union all select l || x, k + 1 from r where k < 3)"
        " select l from r limit 1)",
        "(select l from (values (array[n]), (array[x])) as v (l) limit 1)",
        "(select torn from lists)",
        "(select list from stored limit 1)",
    ],
)
async def test_an_array_of_what_is_not_known_can_hold_a_null(holds_no_null: ProveElements, array: str) -> None:
    assert await holds_no_null(f"select {array} from a") == [False]


async def test_an_aggregate_holds_what_it_is_given(holds_no_null: ProveElements) -> None:
    assert await holds_no_null(
        "select array_agg(n), array_agg(x), array_agg(x) filter (where x is not null), array_agg(x order by n),"
        " array_agg(array[n]), array_agg(array[x]), array_agg(n) filter (where x is not null),"
        " array_agg(x) filter (where n is not null) from a"
    ) == [True, False, True, False, True, False, True, False]


async def test_an_array_that_is_null_itself_holds_no_null(holds_no_null: ProveElements) -> None:
    text = "select l from a left join (select id, array[n] as l from a) as s on s.id = a.x"

    assert await holds_no_null(text) == [True]


async def test_a_null_that_a_grouping_set_makes_is_one_in_the_array(holds_no_null: ProveElements) -> None:
    assert await holds_no_null("select array[n] from a group by grouping sets (n, ())") == [False]


async def test_rows_of_either_side_come_out_of_a_set_operation(holds_no_null: ProveElements) -> None:
    assert await holds_no_null("select array[n] from a union select array[1] from a") == [True]
    assert await holds_no_null("select array[n] from a union select array[x] from a") == [False]
    assert await holds_no_null("select array[x] from a intersect select array[n] from a") == [True]
    assert await holds_no_null("select array[x] from a except select array[n] from a") == [False]
