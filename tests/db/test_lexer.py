import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.db.sql.lexer import Kind, SQLSyntaxError, tokenize


def code(sql: str) -> list[tuple[str, str]]:
    """Kind and text of everything but white space."""
    return [(token.kind.name, token.text) for token in tokenize(sql) if token.kind is not Kind.SPACE]


def texts(sql: str) -> list[str]:
    return [text for _, text in code(sql)]


def placeholders(sql: str) -> list[str]:
    return [token.text for token in tokenize(sql) if token.kind is Kind.PLACEHOLDER]


# Tokens


@pytest.mark.parametrize(
    ("sql", "kind"),
    [
        (" \t\r\n\f\v", "SPACE"),
        ("-- it's :x", "COMMENT"),
        ("/* it's :x */", "COMMENT"),
        ("/* a /* b */ :x */", "COMMENT"),
        ("/*/* :x **/*/", "COMMENT"),
        ("/***/", "COMMENT"),
        ("select", "WORD"),
        ("_a1$b$c", "WORD"),
        ("größe", "WORD"),
        ("1", "NUMBER"),
        ("1_000.5e-10", "NUMBER"),
        (".5", "NUMBER"),
        ("0x1F", "NUMBER"),
        ("''", "STRING"),
        ("'it''s :x'", "STRING"),
        (r"'back\'", "STRING"),
        (r"E'it\'s :x\\'", "STRING"),
        ("e'it''s :x'", "STRING"),
        ("E'two\n lines'", "STRING"),
        (r"U&'d\0061t :x\'", "STRING"),
        ("u&'it''s :x'", "STRING"),
        ("B'01'", "STRING"),
        ("x'1F'", "STRING"),
        (r"N'it''s :x\'", "STRING"),
        ("$$it's :x$$", "STRING"),
        ("$$two\nlines$$", "STRING"),
        ("$a$ $$ :x $b$ $a$", "STRING"),
        ("$a$ x$a$", "STRING"),
        ("$é_1$ :x $é_1$", "STRING"),
        ('"it\'s ""quoted"" :x"', "QUOTED_IDENTIFIER"),
        (r'U&"d\0061t :x\"', "QUOTED_IDENTIFIER"),
        (":name", "PLACEHOLDER"),
        (":_Name_1", "PLACEHOLDER"),
        ("$12", "PARAMETER"),
        ("<->", "OPERATOR"),
        ("@>", "OPERATOR"),
        ("::", "PUNCTUATION"),
        (":=", "PUNCTUATION"),
        (";", "PUNCTUATION"),
        ("(", "PUNCTUATION"),
        ("\\", "PUNCTUATION"),
    ],
)
def test_this_is_one_token(sql: str, kind: str) -> None:
    assert [(token.kind.name, token.start, token.end, token.text) for token in tokenize(sql)] == [
        (kind, 0, len(sql), sql)
    ]


@pytest.mark.parametrize(
    ("sql", "expected"),
    [
        ("a-- b\nc", ["a", "-- b", "c"]),
        ("a-- b\rc", ["a", "-- b", "c"]),
        ("1--b", ["1", "--b"]),
        ("1e--b", ["1", "e", "--b"]),
        ("a+-/*b*/c", ["a", "+-", "/*b*/", "c"]),
        ("a*--b", ["a", "*", "--b"]),
        ("/*/ a */b", ["/*/ a */", "b"]),
        ("a*/b", ["a", "*/", "b"]),
        ("ae'b'", ["ae", "'b'"]),
        ("e 'a'", ["e", "'a'"]),
        ("u & 'a'", ["u", "&", "'a'"]),
        ("a$b$c$b$", ["a$b$c$b$"]),
        ("a $b$c$b$", ["a", "$b$c$b$"]),
        ("1$b$c$b$", ["1", "$b$c$b$"]),
        ("$1$2$", ["$1", "$2", "$"]),
        ("$1$$2$$", ["$1", "$$2$$"]),
        ("a$1", ["a$1"]),
        ("1..2", ["1", ".", ".2"]),
        ("t.a", ["t", ".", "a"]),
        ("a;b", ["a", ";", "b"]),
        ("a=>b", ["a", "=>", "b"]),
        ("{a}", ["{", "a", "}"]),
    ],
)
def test_text_is_split_where_postgresql_splits_it(sql: str, expected: list[str]) -> None:
    assert texts(sql) == expected


@pytest.mark.parametrize(
    "sql", ["E'a'\n'it\\'s :x'", "e'a' \t\r\n\n '\\':x'", "E'a' -- it's\n -- :x\n'\\':x'", "E'a'\n'b'\n'\\':x'"]
)
def test_an_escaped_string_that_continues_stays_escaped(sql: str) -> None:
    assert placeholders(sql) == []
    assert "".join(token.text for token in tokenize(sql)) == sql


@pytest.mark.parametrize("sql", ["E'a' '\\', :x", "E'a' /* \n */ '\\', :x", "E'a'\n,'\\', :x", "'a'\n'\\', :x"])
def test_any_other_string_after_one_is_plain(sql: str) -> None:
    assert placeholders(sql) == [":x"]


def test_the_comments_after_an_escaped_string_are_tried_in_one_way_only() -> None:
    sql = "E'a'" + " -- b" * 2000

    assert len(texts(sql)) == 2


def test_reading_can_begin_anywhere() -> None:
    assert [token[1:] for token in tokenize("a :b", 2)] == [(2, 4, ":b")]


# Placeholders


@pytest.mark.parametrize(
    "sql",
    [
        ":x",
        "(:x)",
        "a=:x",
        "a>=:x",
        "a = :x;",
        "a, :x,b",
        ":x::text",
        ":x::  text[]",
        ":x[1]",
        "f(a := :x)",
        "f(a =>:x)",
        "f(a:=:x)",
        "'a'||:x",
        "/**/:x/**/",
        "--\n:x",
        "''''=:x",
    ],
)
def test_a_colon_and_a_name_are_a_placeholder(sql: str) -> None:
    assert placeholders(sql) == [":x"]


@pytest.mark.parametrize("sql", ["a::x", "a:: x", "a ::x", "a::x::y", "f(a:=x)", "f(a := x)", "a[b]::x[]"])
def test_casts_and_named_arguments_are_no_placeholders(sql: str) -> None:
    assert placeholders(sql) == []


@pytest.mark.parametrize(
    ("sql", "offset"),
    [("a = :1", 4), ("a = :'x'", 4), ('a = :"x"', 4), ("a = : x", 4), ("a = :", 4), (":é", 0), (":xé", 0), (":x$1", 0)],
)
def test_a_colon_without_an_ascii_name_is_an_error(sql: str, offset: int) -> None:
    with pytest.raises(SQLSyntaxError, match="placeholder's name") as caught:
        list(tokenize(sql))

    assert caught.value.offset == offset


def test_three_colons_are_an_error() -> None:
    with pytest.raises(SQLSyntaxError) as caught:
        list(tokenize("a:::x"))

    assert caught.value.offset == 3


@pytest.mark.parametrize("before", ["limit", "1", "'a'", '"a"', "$$a$$", "(a)", ":a"])
def test_a_placeholder_that_touches_an_operand_is_an_error(before: str) -> None:
    with pytest.raises(SQLSyntaxError, match="put a space before the placeholder :x") as caught:
        list(tokenize(f"{before}:x"))

    assert caught.value.offset == len(before)


# Subscripts


@pytest.mark.parametrize(
    "subscript",
    [
        "1:n",
        "i:j",
        "1:",
        ":",
        ": n",
        "1 : n",
        "1: n",
        "i + 1:n",
        "1::n",
        "'a':n",
        "f(i):n",
        "b[i]:n",
        "i::int:n",
        "$1:n",
        '"i":"n"',
    ],
)
@pytest.mark.parametrize("array", ["a", '"a"', "(a)", "t.a", "t.array", "a[1]", "f(a)", "array[1]"])
def test_the_bounds_of_a_slice_are_no_placeholders(array: str, subscript: str) -> None:
    sql = f"{array}[{subscript}]"

    assert placeholders(sql) == []
    assert "".join(token.text for token in tokenize(sql)) == sql


@pytest.mark.parametrize(
    ("sql", "expected"),
    [
        ("a[(:x)]", [":x"]),
        ("a[(:x):(:y)]", [":x", ":y"]),
        ("a[:(:y)]", [":y"]),
        ("a[f(:x)]", [":x"]),
        ("a[1:f(b, :x)]", [":x"]),
        ("a[(array[:x])[1:n]]", [":x"]),
        ("a[1:n] = :x", [":x"]),
    ],
)
def test_a_placeholder_in_a_subscript_is_written_in_parentheses(sql: str, expected: list[str]) -> None:
    assert placeholders(sql) == expected


@pytest.mark.parametrize(
    "sql", ["a[:n]", "a[:n:m]", "a[1: :n]", "a[1 :n]", "a[1 + :n]", "a[ :n]", "(a)[:n]", "a[not :n]"]
)
def test_a_bare_placeholder_in_a_subscript_is_an_error_that_shows_both_ways(sql: str) -> None:
    with pytest.raises(SQLSyntaxError) as caught:
        list(tokenize(sql))

    assert caught.value.offset == sql.index(":n")
    assert "write (:n) for the placeholder, or : n for the slice" in caught.value.message


@pytest.mark.parametrize(
    "array", ["array[:x, :y]", "ARRAY [:x, :y]", "array[[:x], [:y]]", "array[:x, a[1:n], :y]", "array/**/[:x,:y]"]
)
def test_the_elements_of_an_array_can_be_placeholders(array: str) -> None:
    assert placeholders(array) == [":x", ":y"]


# JSON


@pytest.mark.parametrize(
    ("sql", "expected"),
    [
        ("json_object('a': 1, 'b':2)", []),
        ("json_object('a':b)", []),
        ("json_object('a' : b)", []),
        ("JSON_OBJECT ('a': :x)", [":x"]),
        ("json_object(:x: :y)", [":x", ":y"]),
        ("json_object(:x value :y)", [":x", ":y"]),
        ("json_object(:x, :y)", [":x", ":y"]),
        ("json_object('a': f(:x), 'b': a[1:n])", [":x"]),
        ("json_objectagg(k:v)", []),
        ("json_object('a': 1) = :x", [":x"]),
    ],
)
def test_a_colon_in_json_object_separates_key_and_value(sql: str, expected: list[str]) -> None:
    assert placeholders(sql) == expected


def test_a_separating_colon_elsewhere_is_an_error() -> None:
    with pytest.raises(SQLSyntaxError):
        list(tokenize("f('a': 1)"))


def test_a_closing_bracket_too_many_changes_nothing() -> None:
    assert placeholders(")] :x, a[1:n]") == [":x"]


# What is not closed


@pytest.mark.parametrize(
    ("opened", "what"),
    [
        ("'a", "string"),
        ("'a''", "string"),
        (r"E'a\'", "string"),
        ("E'\\", "string"),
        ("U&'a", "string"),
        ("N'a", "string"),
        ("E'a'\n'b", "string"),
        ('"a', "quoted identifier"),
        ('"a""', "quoted identifier"),
        ('u&"a', "quoted identifier"),
        ("$$a$", "dollar-quoted string"),
        ("$a$ $A$", "dollar-quoted string"),
        ("/* a", "comment"),
        ("/* /* */", "comment"),
    ],
)
def test_what_is_opened_and_not_closed_is_an_error_where_it_opens(opened: str, what: str) -> None:
    with pytest.raises(SQLSyntaxError, match=f"this {what} is opened by .* and never closed") as caught:
        list(tokenize(f"select {opened}"))

    assert caught.value.offset == len("select ") + (len("E'a'\n") if opened.startswith("E'a'\n") else 0)


# Properties

SNIPPETS = [
    *["'", '"', "E'", "U&'", "\\", "''", "$", "$a$", "$$", "$1", "/*", "*/", "--", "\n", "\r\n", " ", ":", "::", ":="],
    *[":x", "x", "é", "1", ".", "[", "]", "(", ")", "array", "json_object", ",", ";", "+", "-", "*", "/"],
]
SQL = st.one_of(st.text(), st.lists(st.sampled_from(SNIPPETS), max_size=30).map("".join))


@given(SQL)
def test_the_tokens_are_the_whole_text(sql: str) -> None:
    end = 0
    try:
        for token in tokenize(sql):
            assert token.start == end < token.end
            assert token.text == sql[token.start : token.end]
            end = token.end
    except SQLSyntaxError as error:
        assert end <= error.offset < len(sql)
    else:
        assert end == len(sql)


@given(SQL)
def test_quoted_text_is_never_code(text: str) -> None:
    doubled = text.replace("'", "''")
    escaped = doubled.replace("\\", "\\\\")
    identifier = text.replace('"', '""')
    dollar = text.replace("$", "")
    comment = text.replace("*", "").replace("/", "")
    for quoted in (f"'{doubled}'", f"E'{escaped}'", f'"{identifier}"', f"$q${dollar}$q$", f"/*{comment}*/"):
        assert [token.text for token in tokenize(f"{quoted} :x")] == [quoted, " ", ":x"]
