"""Which columns of SQL/JSON, which PostgreSQL has from 16 on, are never null."""

from tests.check.proofs import Prove


async def test_the_constructors_of_json_make_something_even_of_nulls(prove: Prove) -> None:
    made = "json_object('a': x), json_object(t: 1 returning jsonb), json_array(x, t returning text)"
    assert await prove(f"select {made} from a where t is not null") == [True] * 3
    assert await prove("select json_arrayagg(x), json_objectagg('a' || n: x absent on null) from a group by n") == [
        True,
        True,
    ]
    assert await prove("select json_arrayagg(x), json_objectagg(t: x) from a where false") == [False, False]
    assert await prove("select json_array(select x from a where false)") == [False]
    assert await prove("select n::text is json, t is json, json_array(1 returning bytea) from a") == [
        True,
        False,
        False,
    ]
