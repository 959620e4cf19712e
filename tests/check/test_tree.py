"""PostgreSQL's own analysis of a statement, read as a tree."""

import asyncpg
import pytest

from app.check.postgres.proofs.analysis import analysed_tree
from app.check.postgres.proofs.tree import Node, TreeError, parse_tree, single_query, walk


def node(text: str) -> Node:
    parsed = parse_tree(text)
    assert isinstance(parsed, Node)
    return parsed


def test_fields_are_read_by_their_names() -> None:
    read = node("{VAR :varno 1 :varattno -8 :flag true :nothing <> :expr {CONST :consttype 23}}")
    assert read.tag == "VAR"
    assert (read.number("varno"), read.number("varattno"), read.flag("flag")) == (1, -8, True)
    inner = read.child("expr")
    assert inner is not None
    assert inner.number("consttype") == 23
    assert (read.child("nothing"), read.has("nothing"), read.has("expr")) == (None, False, True)


def test_lists_hold_nodes_numbers_or_lists() -> None:
    read = node('{A :nodes ({B} {C}) :oids (o 1 2) :bits (b 7) :rows (({B}) ({C} {D})) :names ("x" "y") :none <>}')
    assert [child.tag for child in read.children("nodes")] == ["B", "C"]
    assert (read.numbers("oids"), read.numbers("bits"), read.numbers("none")) == ([1, 2], [7], [])
    assert [[child.tag for child in row] for row in read.rows("rows")] == [["B"], ["C", "D"]]
    assert read.fields["names"] == ["x", "y"]


def test_a_constant_keeps_its_bytes() -> None:
    assert node("{CONST :constlen 4 :constvalue 4 [ 1 -1 0 0 ] :location 7}").numbers("constvalue") == [1, -1, 0, 0]


def test_escaped_names_are_the_names_that_were_written() -> None:
    read = node(r'{A :one \<> :two a\ \{b\} :three \"q\" :four :label :five "" :six "\\" :seven a[b}')
    written = [read.text(name) for name in ("one", "two", "three", "four", "five", "six", "seven")]
    assert written == ["<>", "a {b}", '"q"', ":label", "", "\\", "a[b"]


@pytest.mark.parametrize("text", ["{A :x 1} {B}", "{A x 1}", "({QUERY} {QUERY})", "{SELECT}", "<>"], ids=str)
def test_what_is_no_tree_of_one_query_is_refused(text: str) -> None:
    with pytest.raises(TreeError):
        single_query(parse_tree(text))


@pytest.mark.parametrize("name", ["missing", "list", "word", "number"])
def test_a_field_of_another_kind_is_refused(name: str) -> None:
    read = node("{A :list ({B}) :word x :number 1}")
    readers = {"missing": read.text, "list": read.child, "word": read.number, "number": read.children}
    with pytest.raises(TreeError):
        readers[name](name)
    with pytest.raises(TreeError):
        node("{A :list (1)}").children("list")
    with pytest.raises(TreeError):
        node("{A :list ({B})}").text("list")
    with pytest.raises(TreeError):
        node("{A :list x}").numbers("list")


def test_walking_can_leave_out_the_queries_inside() -> None:
    read = node("{A :x ({B} {QUERY :y {C}})}")
    assert [inner.tag for inner in walk(read)] == ["A", "B", "QUERY", "C"]
    assert [inner.tag for inner in walk(read, into_queries=False)] == ["A", "B"]


async def test_a_statement_is_analysed_with_the_names_that_it_was_written_with(connection: asyncpg.Connection) -> None:
    await connection.execute('create table "a {b} [c" (":x" int, """q""" text, "[" int, "<>" int)')
    tree = await analysed_tree(connection, 'select *, $1 as "n :o (p" from "a {b} [c" -- the end', ["bigint"])
    assert [entry.text("resname") for entry in tree.children("targetList")] == [":x", '"q"', "[", "<>", "n :o (p"]
    assert tree.children("rtable")[0].number("relid") > 0
    assert [inner.number("paramtype") for inner in walk(tree) if inner.tag == "PARAM"] == [20]


async def test_analysing_executes_nothing_and_leaves_nothing(connection: asyncpg.Connection) -> None:
    await connection.execute("create table t (id int)")
    for _ in range(2):
        tree = await analysed_tree(connection, "insert into t values ($1) returning id", ["integer"])
        assert tree.number("commandType") == 3
    await analysed_tree(connection, "delete from t", [])
    assert await connection.fetchval("select count(*) from t") == 0
    assert await connection.fetchval("select count(*) from pg_proc where proname = 'bindery_statement'") == 0


async def test_what_the_server_says_about_the_text_is_raised(connection: asyncpg.Connection) -> None:
    with pytest.raises(asyncpg.UndefinedTableError):
        await analysed_tree(connection, "select * from missing", [])
    with pytest.raises(asyncpg.FeatureNotSupportedError):
        await analysed_tree(connection, "show work_mem", [])
    assert await connection.fetchval("select 1") == 1


async def test_two_statements_are_not_one(connection: asyncpg.Connection) -> None:
    with pytest.raises(TreeError, match="not one statement"):
        await analysed_tree(connection, "select 1; select 2", [])
