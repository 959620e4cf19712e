"""Fields, arguments and statements may be called what Python, or the source that binds them, calls another thing."""

import builtins
import dataclasses
import keyword
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, cast

import pytest

from app.db import Database, Executor, Queries
from app.db.binding.namespace import Namespace
from app.db.binding.row_construction import constructor
from app.db.errors import SQLFileError

pytestmark = pytest.mark.one_loop

Write = Callable[[str], Queries]
RESERVED = {*keyword.kwlist, "__debug__"}


@dataclasses.dataclass(frozen=True, slots=True)
class Sample:
    id: int
    names: list[str] | None


async def every(db: Executor, *, some: list[int] | None, one: int | float, rows: str) -> list[Sample]: ...


def used_by_the_source(load: Write) -> set[str]:
    """Every name in the code that is compiled for a function and for its rows."""
    bound = load("-- name: every\nselect :some::int[], :one::int, :rows::text as id").bind(every)
    codes = [cast("Any", bound).__code__, cast("Any", constructor(Sample)).__code__]
    names = {name for code in codes for name in (*code.co_names, *code.co_varnames, *code.co_freevars)}
    return (
        names | set(cast("Any", bound).__globals__) | {"r", "o", "records", "number", "row", "error", "copying", "db"}
    )


@pytest.fixture
def names(write_queries: Write) -> list[str]:
    """All of them, and some that begin as they do."""
    known = {*dir(builtins), *keyword.softkwlist, *used_by_the_source(write_queries)}
    known |= {f"_{name}" for name in known if name.startswith("__")} | {"__query", "___query", "____", "v0", "made_0"}
    return sorted(name for name in known - RESERVED if name.isascii() and name.isidentifier())


def defined(queries: Queries, source: str, **names: Any) -> Any:
    """The function that the source defines, bound."""
    scope: dict[str, Any] = {"Executor": Executor, "Iterable": Iterable, **names}
    path = Path(__file__)
    exec(compile(source, str(path), "exec"), scope)
    return queries.bind(scope[source.partition("def ")[2].partition("(")[0]])


async def test_an_argument_may_have_any_name(db: Database, write_queries: Write, names: list[str]) -> None:
    for number, name in enumerate(names):
        queries = write_queries(f"-- name: get_it\nselect cardinality(:{name}::int[]) + :other_one::int")
        executor = "database" if name == "db" else "db"
        get_it = defined(
            queries, f"async def get_it({executor}: Executor, *, {name}: list[int], other_one: int) -> int: ..."
        )

        assert await get_it(db, **{name: [1, 2]}, other_one=number) == number + 2, name


async def test_an_executor_may_have_any_name(db: Database, write_queries: Write, names: list[str]) -> None:
    queries = write_queries("\n".join(f"-- name: get_{n}\nselect :a::int;" for n in range(len(names))))
    for number, name in enumerate(names):
        get = defined(queries, f"async def get_{number}({name}: Executor, *, a: int | None) -> int | None: ...")

        assert await get(db, a=number) == number, name


async def test_a_statement_may_have_any_name(db: Database, write_queries: Write, names: list[str]) -> None:
    lower = [name for name in names if name == name.lower()]
    queries = write_queries("\n".join(f"-- name: {name}\nselect :a::int;" for name in lower))
    for number, name in enumerate(lower):
        function = defined(queries, f"async def {name}(db: Executor, *, a: int) -> int: ...", int=int)

        assert await function(db, a=number) == number, name
        assert function.__code__.co_name == name


async def test_a_field_may_have_any_name(db: Database, write_queries: Write, names: list[str]) -> None:
    # Within a class Python changes names that begin with two underscores.
    names = [name for name in names if not name.startswith("__")]
    inner = dataclasses.make_dataclass("Inner", [(name, int) for name in names], frozen=True, slots=True)
    outer = [*((name, int) for name in names), ("inner", inner)]
    row = dataclasses.make_dataclass("Outer", outer, frozen=True, slots=True)
    columns = [f'{number} as "{name}"' for number, name in enumerate(names)]
    columns += [f'{-number} as "inner.{name}"' for number, name in enumerate(names)]
    queries = write_queries(f"-- name: get_it\nselect {', '.join(columns)}")
    get_it = defined(queries, "async def get_it(db: Executor) -> Row: ...", Row=row)

    found = await get_it(db)

    assert [getattr(found, name) for name in names] == list(range(len(names)))
    assert [-getattr(found.inner, name) for name in names] == list(range(len(names)))


async def test_a_row_that_is_copied_may_have_fields_of_any_name(
    db: Database, write_queries: Write, names: list[str]
) -> None:
    names = [name for name in names if not name.startswith("__")]
    row = dataclasses.make_dataclass("Row", [(name, int) for name in names], frozen=True, slots=True)
    await db.execute("create table wide (" + ", ".join(f'"{name}" int' for name in names) + ")")
    columns = ", ".join(f'"{name}"' for name in names)
    queries = write_queries(f"-- name: copy_them\ncopy wide ({columns}) from stdin")
    copy_them = defined(queries, "async def copy_them(db: Executor, *, rows: Iterable[Row]) -> int: ...", Row=row)

    assert await copy_them(db, rows=[row(*range(len(names)))]) == 1
    assert list((await db.fetch("select * from wide"))[0].values()) == list(range(len(names)))


def test_names_of_ours_begin_as_none_of_a_users() -> None:
    own = Namespace(["__query", "____", "x"])

    assert own.give(1, "query") == "_____query"


@pytest.mark.parametrize("name", ["class", "import", "async", "__debug__", "lambda"])
def test_a_statement_called_by_a_word_that_python_keeps_is_refused(write_queries: Write, name: str) -> None:
    with pytest.raises(
        SQLFileError, match=f"things.sql:1:10: no function can be called {name}: Python keeps that word"
    ):
        write_queries(f"-- name: {name}\nselect 1")


@pytest.mark.parametrize("name", ["class", "None", "from", "__debug__"])
def test_a_placeholder_called_by_a_word_that_python_keeps_is_refused(write_queries: Write, name: str) -> None:
    problem = f"things.sql:2:8: no argument can be called {name}: Python keeps that word; write :{name}_"
    with pytest.raises(SQLFileError, match=problem):
        write_queries(f"-- name: go\nselect :{name}::int")


def test_a_fragment_may_be_called_as_it_likes(write_queries: Write) -> None:
    queries = write_queries("-- name: go\nselect\n    -- include: class\n;\n-- fragment: class\n1")

    assert queries.statements["go"].text.startswith("select\n1")
