"""Whatever names a database and its SQL have, what `--describe` prints is Python that runs."""

import builtins
import keyword
from collections.abc import Callable
from pathlib import Path
from typing import Any, get_type_hints

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.check.postgres.describe import Description, ResultColumn, StatementParameter
from app.check.postgres.server_types import ServerType
from app.check.python.generation import python_source
from app.check.python.naming import is_field_name
from app.db.sql.file import load_statements

HARD = [
    *keyword.kwlist, *keyword.softkwlist, *dir(builtins), "?column?", "count(*)", "first name", "1st", "", ".", "a.",
    "a.b", "a.b.c", "a..b", "__x", "_", "--", "so-so", "so_so", 'say "so"', "it's", "back\\slash", "line\nbreak", "ﬁ",
    "fi", "ß", "ŉ", "²", "名", "é", "datetime", "dataclass", "asyncpg", "queries", "Executor", "Decimal", "name",
    "value", "mro", "MRO", "self", "cls",
]  # fmt: skip
names = st.one_of(st.sampled_from(HARD), st.text(max_size=8), st.sampled_from(HARD).map(lambda name: f"owner.{name}"))
TEXT = ServerType("text")


class _Queries:
    """Stands for what the source is pasted beneath."""

    def bind(self, function: Callable[..., Any]) -> Callable[..., Any]:
        return function


def run(source: str) -> dict[str, Any]:
    """What the source defines, with the annotations of its functions resolved."""
    scope: dict[str, Any] = {"queries": _Queries(), "__name__": "pasted"}
    exec(compile(source, "pasted", "exec"), scope)
    return scope


def described(
    tmp_path: Path, sql: str, columns: list[ResultColumn], parameters: list[StatementParameter] | None = None
) -> str:
    path = tmp_path / "things.sql"
    path.write_text(sql)
    (statement,) = load_statements(path).values()
    return python_source(
        statement, Description(tuple(parameters or ()), tuple(columns), at_most_one=False, unproved="")
    )


@given(st.lists(names, min_size=2, max_size=6))
def test_a_row_has_a_field_for_each_name_that_a_field_can_have(
    tmp_path_factory: pytest.TempPathFactory, columns: list[str]
) -> None:
    row = [ResultColumn(name, TEXT, never_null=True) for name in columns]

    source = described(tmp_path_factory.mktemp("sql"), "-- name: list_things\nselect 1", row)

    fields = get_type_hints(run(source)["Thing"])
    for name in columns:
        outer = name.partition(".")[0]
        assert (outer in fields) == is_field_name(outer)
        if outer not in fields:
            assert "cannot be the name of a field: name the column otherwise" in source


@given(st.lists(st.one_of(st.sampled_from(HARD), st.text(max_size=8)), unique=True, min_size=1), names)
def test_an_enum_has_a_member_for_each_of_its_labels(
    tmp_path_factory: pytest.TempPathFactory, labels: list[str], name: str
) -> None:
    mood = ServerType(name, "enum", labels=tuple(labels))
    columns = [ResultColumn("mood", ServerType("mood[]", "array", mood), never_null=True)]

    source = described(tmp_path_factory.mktemp("sql"), "-- name: list_moods\nselect 1", columns)

    (enum,) = [value for value in run(source).values() if isinstance(value, type) and issubclass(value, str)][-1:]
    assert [str(member.value) for member in enum] == labels  # pyright: ignore[reportGeneralTypeIssues, reportUnknownVariableType, reportUnknownMemberType, reportUnknownArgumentType] - an enum


@pytest.mark.parametrize(
    "name", ["get_decimal", "list_uuids", "get_any", "get_none", "list_executors", "get_1", "get_"]
)
def test_a_row_is_called_as_nothing_else_is(tmp_path: Path, name: str) -> None:
    columns = [
        ResultColumn(each, ServerType(type_), never_null=True) for each, type_ in (("a", "numeric"), ("b", "uuid"))
    ]

    source = described(tmp_path, f"-- name: {name}\nselect 1", columns)

    hints = get_type_hints(run(source)[name])
    assert "a: Decimal\n    b: UUID\n" in source
    assert list(get_type_hints(hints["return"].__args__[0])) == ["a", "b"]


def test_an_argument_called_as_the_executor_is_another_one(tmp_path: Path) -> None:
    source = described(
        tmp_path, "-- name: go\nselect :db, :db2", [], [StatementParameter(TEXT), StatementParameter(TEXT)]
    )

    assert "async def go(db3: Executor, *, db: str, db2: str) -> None:" in source
    run(source)


@pytest.mark.parametrize("purpose", ['say "so"', 'three """ of them', "a \\ b", 'ends with "\\', "it's"])
def test_a_purpose_becomes_the_docstring_that_it_is(tmp_path: Path, purpose: str) -> None:
    source = described(tmp_path, f"-- name: go\n-- {purpose}\nselect 1", [])

    assert run(source)["go"].__doc__ == purpose


def test_enums_inside_composites_and_ranges_are_written_too(tmp_path: Path) -> None:
    mood = ServerType("audit.mood", "enum", labels=("so-so", "so_so"))
    pair = ServerType("pair", "composite", fields=(("mood", mood), ("void", ServerType("nothing", "composite"))))

    source = described(tmp_path, "-- name: list_pairs\nselect 1", [ResultColumn("pair", pair, never_null=True)])

    assert 'class AuditMood(StrEnum):\n    """…"""\n\n    SO_SO = "so-so"\n    SO_SO2 = "so_so"\n' in source
    assert "-> list[tuple[AuditMood | None, tuple[()] | None]]:" in source
    run(source)
