import pytest

from app.check.python.text_places import COMPARISONS, column_offsets, name_offset, parameter_offset


@pytest.mark.parametrize(
    ("text", "columns"),
    [
        ("select a, b.c as d, f(x, y) from t", ["a", "b.c", "f("]),
        ("select (select 1, 2), array[1, 2] as b", ["(s", "ar"]),
        ("select distinct on (a, b) c, d from t", ["c,", "d "]),
        ("select distinct a, b", ["a,", "b"]),
        ("select all a, b", ["a,", "b"]),
        ("with t as (select 1, 2, 3) select a, b from t", ["a,", "b "]),
        ("select a is distinct from b, c from t", ["a ", "c "]),
        ("select a, 1 union select b, 2, 3", ["a,", "1 "]),
        ("insert into t (a, b) select c, d from u returning a as x, b", ["a as", "b"]),
        ("update t set a = 1, b = 2 returning b", ["b"]),
    ],
)
def test_columns_are_found_where_they_begin(text: str, columns: list[str]) -> None:
    offsets = column_offsets(text, len(columns))

    assert all(text[offset:].startswith(column) for offset, column in zip(offsets, columns, strict=True))
    assert len(set(offsets)) == len(columns)


@pytest.mark.parametrize(
    "text", ["select * from t", "select t.*, a from t", "(select a, b) union select c, d", "table t"]
)
def test_columns_that_cannot_be_told_apart_are_at_the_beginning(text: str) -> None:
    assert column_offsets(text, 3) == [0, 0, 0]


def test_a_parameter_is_found_where_it_stands_first_or_is_compared() -> None:
    text = "select $2, '$1', $1, $10 from t where a = $2 and $1 > b"

    assert text[parameter_offset(text, 1) :].startswith("$1, $10")
    assert text[parameter_offset(text, 10) :].startswith("$10")
    assert text[parameter_offset(text, 2, beside=COMPARISONS) :].startswith("$2 and")
    assert text[parameter_offset(text, 1, beside=COMPARISONS) :].startswith("$1 > b")
    assert text[parameter_offset(text, 10, beside=COMPARISONS) :].startswith("$10")


def test_a_table_is_found_where_it_is_read_and_a_column_where_it_is_named() -> None:
    text = 'select people.id, nick from "people" join People on true'

    assert text[name_offset(text, "people") :].startswith('"people"')
    assert text[name_offset(text, "nick") :].startswith("nick from")
    assert name_offset(text, "pets") == 0
