import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.db.errors import SQLFileError
from app.db.sql.file import load_statements
from app.db.sql.places import Place, Source
from app.db.sql.statement import Statement

Write = Callable[[str], Path]

ARTICLES = """\
-- Articles.

-- name: get_article
-- The article with this slug.
select articles.body,
       -- include: article_columns
from articles join users as author on author.id = articles.author_id
where articles.slug = :slug;

-- name: list_articles
select /* all of them */ articles.id, -- newest first
    -- include: article_columns
from articles
where articles.id < :before and :slug = :before
order by id desc limit :limit

-- fragment: article_columns
-- What every answer shows of an article.
articles.slug,
\tarticles.title = :title
"""


@pytest.fixture
def write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Write:
    """Writes `sql/test.sql` below the current directory."""
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "sql" / "test.sql"
    path.parent.mkdir()

    def write(text: str) -> Path:
        path.write_text(text, encoding="utf-8", newline="")
        return path

    return write


def only(statements: dict[str, Statement]) -> Statement:
    (statement,) = statements.values()
    return statement


# What a statement is


def test_statements_are_named_by_their_headers_in_the_order_of_the_file(write: Write) -> None:
    statements = load_statements(write(ARTICLES))

    assert list(statements) == ["get_article", "list_articles"]
    assert [statement.name for statement in statements.values()] == ["get_article", "list_articles"]


def test_a_statement_knows_its_place_and_purpose(write: Write) -> None:
    path = write(ARTICLES)

    statement = load_statements(path)["get_article"]

    assert (statement.path, statement.line, statement.purpose) == (path, 3, "The article with this slug.")
    assert statement.place == Place(path, 3, 1, "-- name: get_article")


def test_the_text_has_fragments_numbers_and_a_name_but_no_comments(write: Write) -> None:
    statement = load_statements(write(ARTICLES))["get_article"]

    assert statement.text == (
        "select articles.body,\n"
        "articles.slug,\n"
        "\tarticles.title = $1\n"
        "from articles join users as author on author.id = articles.author_id\n"
        "where articles.slug = $2 /* test.get_article */"
    )
    assert statement.parameters == ("title", "slug")


def test_the_same_placeholder_has_one_number(write: Write) -> None:
    statement = load_statements(write(ARTICLES))["list_articles"]

    assert statement.parameters == ("title", "before", "slug", "limit")
    assert "id < $2 and $3 = $2\n" in statement.text


def test_a_statement_is_equal_to_itself_alone(write: Write) -> None:
    statement = only(load_statements(write("-- name: a\nselect 1")))

    assert len({statement, statement, replace(statement)}) == 2


# What is said to whoever checks a statement


NOTED = """\
-- name: list_names
-- Everybody.
-- check: full scan of people, because there are few
-- And their pets.
select
    -- include: names
from people

-- fragment: names
name,
  -- check:  not null pet.name, because it's so
  pet.name
"""


def test_check_notes_of_a_statement_and_its_fragments_have_a_text_and_a_place(write: Write) -> None:
    path = write(NOTED)

    notes = load_statements(path)["list_names"].check_notes

    assert [note.text for note in notes] == [
        "full scan of people, because there are few",
        "not null pet.name, because it's so",
    ]
    assert [str(note.place) for note in notes] == ["sql/test.sql:3:1", "sql/test.sql:11:3"]


def test_check_notes_change_neither_text_nor_purpose(write: Write) -> None:
    noted = only(load_statements(write(NOTED)))
    plain = only(load_statements(write(NOTED.replace("-- check: full", "-- plain: full").replace("-- check: ", "-- "))))

    assert noted.text == plain.text
    assert noted.purpose == "Everybody.\nAnd their pets."


@pytest.mark.parametrize(
    ("sql", "message"),
    [
        ("-- name: a\n-- check:\nselect 1", "2:1: `-- check:` needs a text"),
        ("-- name: a\nselect 1 -- check: not null a", "2:10: `-- check:` must stand alone on its line"),
        ("-- name: a\n-- Check: not null a, because\nselect 1", "2:1: a directive is one of `-- name: x`, "),
        ("-- check: not null a\n-- name: a\nselect 1", "1:1: only comments can stand above the first `-- name:`"),
    ],
)
def test_a_check_note_has_a_text_a_line_and_a_statement(write: Write, sql: str, message: str) -> None:
    with pytest.raises(SQLFileError) as caught:
        load_statements(write(sql))

    assert str(caught.value).startswith(f"sql/test.sql:{message}")


# The words of a statement


@pytest.mark.parametrize(
    ("sql", "keyword"),
    [
        ("select 1", "select"),
        ("/* with */ INSERT into a values (1)", "insert"),
        ("(Select 1) union select 2", "select"),
        ("with a as (select 1) select 2", "with"),
        ("copy a to stdout", "copy"),
        ("values(1)", "values"),
        ("(1)", ""),
    ],
)
def test_the_keyword_is_the_first_word(write: Write, sql: str, keyword: str) -> None:
    assert only(load_statements(write(f"-- name: a\n{sql}"))).keyword == keyword


@pytest.mark.parametrize(
    ("comments", "purpose"),
    [
        ("", ""),
        ("-- One.\n", "One."),
        ("-- One.\n--two\n", "One.\ntwo"),
        ("-- One.\n--\n-- Two.\n", "One.\n\nTwo."),
        ("-- One.\n\n-- not two\n", "One."),
        ("\n-- not one\n", ""),
        ("-- One.\n/* not two */\n", "One."),
        ("-- One.\n-- include: b\n-- not two\n", "One."),
    ],
)
@pytest.mark.parametrize("newline", ["\n", "\r\n", "\r"])
def test_the_comment_below_the_header_is_the_purpose(write: Write, comments: str, purpose: str, newline: str) -> None:
    text = f"-- name: a\n{comments}select 1 -- one\n-- include: b\n-- fragment: b\n+ 1"

    assert load_statements(write(text.replace("\n", newline)))["a"].purpose == purpose


@pytest.mark.parametrize(
    ("sql", "text"),
    [
        ("  select 1  ;  \n\n", "select 1"),
        ("select 1 -- one\n;-- two", "select 1"),
        ("select  1\t\n\n\n  from a \n", "select  1\n  from a"),
        ("select/**/1", "select 1"),
        ("select /* a */  1", "select 1"),
        ("select 1 -- note: one", "select 1"),
        ("select -- a\n1", "select\n1"),
        ("select\n-- a\n  -- b\n  1", "select\n  1"),
        ("select /*\n*/ 1", "select 1"),
        ("select\n  /* a */ 1", "select\n 1"),
        ("select\n  /* a */1", "select\n1"),
        ("select 1\r\n  from a\r\n", "select 1\n  from a"),
        ("select 1\r  from a\r", "select 1\n  from a"),
        ("select ' -- a ;\r\n\r\n'", "select ' -- a ;\r\n\r\n'"),
        ("select E'a' -- b\n'\\':x'", "select E'a'\n'\\':x'"),
        ("select a[1:n], ':x', :x::text", "select a[1:n], ':x', $1::text"),
    ],
)
def test_comments_and_white_space_are_dropped_and_line_breaks_kept(write: Write, sql: str, text: str) -> None:
    assert only(load_statements(write(f"-- name: a\n{sql}"))).text == f"{text} /* test.a */"


def test_the_text_does_not_depend_on_the_line_ends_of_the_file(write: Write) -> None:
    texts = [load_statements(write(ARTICLES.replace("\n", end)))["get_article"].text for end in ("\n", "\r\n", "\r")]

    assert len(set(texts)) == 1


def test_the_tenth_placeholder_is_ten(write: Write) -> None:
    names = [f"p{number}" for number in range(1, 13)]

    statement = only(load_statements(write("-- name: a\nselect " + ", ".join(f":{name}" for name in names))))

    assert statement.parameters == tuple(names)
    assert statement.text.startswith("select $1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12 ")


# Directives


@pytest.mark.parametrize("header", ["--name:a", "-- name: a", "--  name :\ta  "])
def test_space_in_a_directive_does_not_matter(write: Write, header: str) -> None:
    assert list(load_statements(write(f"{header}\nselect 1"))) == ["a"]


@pytest.mark.parametrize(
    "quoted", ["'\n-- name: b\n'", "$$\n-- name: b\n$$", '"\n-- name: b\n"', "1 /*\n-- name: b\n*/"]
)
def test_a_directive_in_quotes_or_a_block_comment_is_text(write: Write, quoted: str) -> None:
    assert list(load_statements(write(f"-- name: a\nselect {quoted}"))) == ["a"]


@pytest.mark.parametrize(
    "comment", ["-- Note: for now only", "-- names: a, b", "-- by name", "-- see https://a.b", "-- 12:30"]
)
def test_prose_is_no_directive(write: Write, comment: str) -> None:
    assert (
        only(load_statements(write(f"{comment}\n-- name: a\nselect 1,\n{comment}\n2"))).text
        == "select 1,\n2 /* test.a */"
    )


def test_fragments_can_include_fragments_more_than_once(write: Write) -> None:
    statements = load_statements(
        write(
            "-- fragment: b\nb = :b\n-- fragment: c\n-- include: b\nor\n\t-- include: b\n"
            "-- name: a\nselect\n-- include: c\n-- name: d\nselect\n-- include: b\n"
        )
    )

    assert statements["a"].text == "select\nb = $1\nor\nb = $1 /* test.a */"
    assert statements["d"].text == "select\nb = $1 /* test.d */"


def test_a_bracket_left_open_changes_no_other_statement(write: Write) -> None:
    statements = load_statements(write("-- name: a\nselect a[1\n-- name: b\nselect :x"))

    assert statements["b"].parameters == ("x",)


def test_a_file_without_statements_has_none(write: Write) -> None:
    assert load_statements(write("")) == {}
    assert load_statements(write("-- Nothing yet.\n\n/* here */\n")) == {}


# Errors


def report(text: str, write: Write) -> str:
    with pytest.raises(SQLFileError) as caught:
        load_statements(write(text))
    return str(caught.value)


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("select 1", "1:1: only comments can stand above the first `-- name:`"),
        ("-- a\n-- include: b", "2:1: only comments can stand above the first `-- name:`"),
        ("-- name:\nselect 1", "1:9: `-- name:` needs a name of lower-case letters, digits and _"),
        ("-- name: a b\nselect 1", "1:10: `-- name:` needs a name of lower-case letters, digits and _"),
        ("-- name: a;\nselect 1", "1:10: `-- name:` needs a name of lower-case letters, digits and _"),
        ("-- name: getA\nselect 1", "1:10: `-- name:` needs a name of lower-case letters, digits and _"),
        ("-- fragment: 1\nselect 1", "1:14: `-- fragment:` needs a name of lower-case letters, digits and _"),
        (" -- name: a\nselect 1", "1:2: `-- name:` must begin its line"),
        ("-- name: a\nselect 1 -- name: b", "2:10: `-- name:` must stand alone on its line"),
        ("-- name: a\nselect 1, -- include: b", "2:11: `-- include:` must stand alone on its line"),
        ("-- query: a\nselect 1", "1:1: a directive is one of `-- name: x`, "),
        ("-- Name: a\nselect 1", "1:1: a directive is one of `-- name: x`, "),
        ("-- name a\nselect 1", "1:1: a directive is one of `-- name: x`, "),
        ("-- name: a\nselect 1,\n  -- includes: b;\n2", "3:3: a directive is one of `-- name: x`, "),
        ("-- name: a\nselect 1\n-- name: a\nselect 2", "3:1: a is already defined in line 1"),
        ("-- name: a\nselect 1\n-- fragment: a\n1", "3:1: a is already defined in line 1"),
        ("-- name: a\nselect\n  -- include: b", "3:3: there is no fragment b in this file"),
        ("-- name: a\nselect\n-- include: b\n-- name: b\nselect 1", "3:1: there is no fragment b in this file"),
        ("-- name: a\nselect\n-- include: a", "3:1: a includes itself: a -> a"),
        (
            "-- name: a\nselect\n-- include: b\n-- fragment: b\n-- include: c\n-- fragment: c\n1,\n  -- include: b",
            "8:3: b includes itself: a -> b -> c -> b",
        ),
        ("-- fragment: b\n-- include: b", "2:1: b includes itself: b -> b"),
        ("-- name: a\nselect 1\n-- fragment: b\n1", "3:1: no statement includes the fragment b"),
        ("-- name: a\n-- Nothing.\n", "1:1: a is empty"),
        ("-- name: a\n;;", "1:1: a is empty"),
        ("-- name: a", "1:1: a is empty"),
        ("-- name: a\nselect\n-- include: b\n-- fragment: b\n-- c", "4:1: b is empty"),
        ("-- name: a\nselect 1;\nselect 2;", "3:1: one statement is enough here"),
        ("-- name: a\nselect 1;;", "2:10: one statement is enough here"),
        ("-- name: a\nselect 1;\n-- include: b\n-- fragment: b\n1", "5:1: one statement is enough here"),
        ("-- name: a\nselect\n-- include: b\n-- fragment: b\n1;", "5:2: a fragment is part of a statement"),
        ("-- name: a\nselect :b, $1", "2:12: placeholders have names: write :name instead of $1"),
        ("-- name: a\nselect 'it's'", "2:13: this string is opened by ' and never closed"),
        ("-- name: a\nselect :1", "2:8: a colon must be followed by a placeholder's name"),
        ("-- name: a\nselect b[:n]", "2:10: :n in a subscript is a placeholder or the end of a slice"),
    ],
)
@pytest.mark.parametrize("newline", ["\n", "\r\n", "\r"])
def test_an_error_names_its_place(write: Write, text: str, error: str, newline: str) -> None:
    assert report(text.replace("\n", newline), write).startswith(f"sql/test.sql:{error}")


def test_an_error_shows_the_line_and_points_at_the_character(write: Write) -> None:
    text = "-- name: a\nselect 'é',\n\t'ü',\t$1 -- ß\nfrom b"

    assert report(text, write).split("\n") == [
        "sql/test.sql:3:7: placeholders have names: write :name instead of $1",
        "\t'ü',\t$1 -- ß",
        "\t    \t^",
    ]


def test_a_file_elsewhere_is_shown_by_its_whole_path(
    write: Write, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write("-- name: a")
    monkeypatch.chdir(tmp_path_factory.mktemp("elsewhere"))

    with pytest.raises(SQLFileError) as caught:
        load_statements(path)

    assert str(caught.value).startswith(f"{path}:1:1: ")


def test_a_relative_path_is_shown_as_it_is(write: Write) -> None:
    write("-- name: a")

    with pytest.raises(SQLFileError, match=r"^sql/test\.sql:1:1: a is empty"):
        load_statements(Path("sql/test.sql"))


def test_a_missing_file_is_an_error_that_names_it(write: Write) -> None:
    folder = write("").parent

    with pytest.raises(SQLFileError, match=r"^sql/missing\.sql: No such file or directory$"):
        load_statements(folder / "missing.sql")
    with pytest.raises(SQLFileError, match=r"^sql: Is a directory$"):
        load_statements(folder)


def test_a_file_in_another_encoding_is_an_error_that_names_the_line(write: Write) -> None:
    path = write("")
    path.write_bytes("-- name: a\nselect 'é'".encode("latin-1"))

    with pytest.raises(SQLFileError, match=r"^sql/test\.sql:2: this is not UTF-8: "):
        load_statements(path)


def test_a_byte_order_mark_is_no_character(write: Write) -> None:
    statement = only(load_statements(write("\ufeff-- name: a\nselect 1")))

    assert (statement.place.column, statement.place.source) == (1, "-- name: a")
    assert report("\ufeffselect 1", write).startswith("sql/test.sql:1:1: ")


# Back to the file


@pytest.mark.parametrize(
    ("text", "line", "column"),
    [
        ("select", 5, 1),
        ("body", 5, 17),
        ("articles.slug,", 19, 1),
        ("title =", 20, 11),
        ("$1", 20, 19),
        ("from", 7, 1),
        ("= $2", 8, 21),
        ("$2", 8, 23),
    ],
)
@pytest.mark.parametrize("newline", ["\n", "\r\n", "\r"])
def test_a_character_is_located_in_the_file(write: Write, text: str, line: int, column: int, newline: str) -> None:
    statement = load_statements(write(ARTICLES.replace("\n", newline)))["get_article"]

    place = statement.locate(statement.text.index(text))

    assert (place.line, place.column) == (line, column)
    assert place.source == ARTICLES.split("\n")[line - 1]
    assert str(place) == f"sql/test.sql:{line}:{column}"


@pytest.mark.parametrize("sql", ["select a + ;", "select a +\n-- c", "select a +"])
def test_the_end_of_the_text_is_the_end_of_the_statement(write: Write, sql: str) -> None:
    statement = only(load_statements(write(f"-- name: a\n{sql}")))

    ends = {statement.locate(offset) for offset in range(statement.text.index(" /*"), len(statement.text) + 1)}

    assert {(place.line, place.column) for place in ends} == {(2, len("select a +") + 1)}


@pytest.mark.parametrize("outside", [-1, 22])
def test_an_offset_outside_the_text_is_an_error(write: Write, outside: int) -> None:
    statement = only(load_statements(write("-- name: a\nselect 1")))

    assert len(statement.text) == 21
    with pytest.raises(ValueError, match=f"a has 21 characters, none at offset {outside}"):
        statement.locate(outside)


def test_a_number_longer_than_its_placeholder_stays_within_it(write: Write) -> None:
    names = [chr(ord("a") + number) for number in range(10)]
    statement = only(load_statements(write("-- name: a\nselect " + ",".join(f":{name}" for name in names))))

    start = statement.text.index("$10")

    assert [statement.locate(start + step).column for step in range(4)] == [35, 36, 36, 37]


def test_a_place_can_be_reported(write: Write) -> None:
    statement = load_statements(write(ARTICLES))["get_article"]

    assert statement.locate(statement.text.index("title")).report("no such column").split("\n") == [
        "sql/test.sql:20:11: no such column",
        "\tarticles.title = :title",
        "\t         ^",
    ]


PARTS = [
    *["a", "é", ",", "1", "::", "\t", " ", "\n", "\r\n", "\r", "\n  \t", "-- b'\n", "/* ü\n */"],
    *[" 'ö\r\n:x'", " $$\n$$", " E'\\''", '"q"', " :x ", " :y ", "\n-- include: f\n"],
]
BODY = st.lists(st.sampled_from(PARTS), max_size=15).map("".join)
OF_PLACEHOLDERS = {("$", ":"), ("1", "x"), ("1", "y"), ("2", "x"), ("2", "y")}


@given(before=BODY, after=BODY, fragment=BODY)
def test_every_character_stems_from_the_same_character_of_the_file(
    tmp_path_factory: pytest.TempPathFactory, before: str, after: str, fragment: str
) -> None:
    path = tmp_path_factory.getbasetemp() / "property.sql"
    file = f"-- name: a\n{before}s\n-- include: f\n{after}\n-- fragment: f\nf{fragment.replace('-- include: f', '')}\n"
    path.write_text(file, encoding="utf-8", newline="")
    source = Source(path, file)
    characters = {source.place(offset): character for offset, character in enumerate(file)}

    statement = load_statements(path)["a"]

    for offset, character in enumerate(statement.text.removesuffix(" /* property.a */")):
        origin = characters[statement.locate(offset)]
        # A space can stand for a comment.
        assert character.isspace() or character == origin or (character, origin) in OF_PLACEHOLDERS


AUTHORS = """
-- fragment: author_columns
authors.name as "author.name",
-- check: not null author.name, because every author has one
:viewer_id::int as "author.viewer"

-- name: get_author
select
    -- include: author_columns
from authors;
"""
BOOKS = """
-- name: get_book
select
    title,
    -- include: authors.author_columns
from books where id = :id;
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with two files, one of which includes from the other."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "authors.sql").write_text(AUTHORS)
    (tmp_path / "books.sql").write_text(BOOKS)
    return tmp_path


def test_a_fragment_of_another_file_is_included(folder: Path) -> None:
    book = load_statements(folder / "books.sql")["get_book"]

    assert book.parameters == ("viewer_id", "id")
    assert "authors.name as" in book.text
    assert book.paths == {folder / "authors.sql", folder / "books.sql"}
    assert [(note.text, str(note.place)) for note in book.check_notes] == [
        ("not null author.name, because every author has one", "authors.sql:4:1")
    ]
    assert str(book.locate(book.text.index("authors.name"))) == "authors.sql:3:1"
    assert str(book.locate(book.text.index("books"))) == "books.sql:6:6"


@pytest.mark.parametrize(
    ("include", "problem"),
    [
        ("authors.author_column", "there is no fragment author_column in authors.sql"),
        ("authors.get_author", "there is no fragment get_author in authors.sql"),
        ("people.author_columns", "there is no file people.sql beside this one"),
        ("books.author_columns", "there is no fragment author_columns in this file"),
        ("../authors.author_columns", "`-- include:` needs a fragment's name, or file.name for one of another file"),
    ],
)
def test_a_fragment_that_another_file_does_not_have_is_refused(folder: Path, include: str, problem: str) -> None:
    (folder / "books.sql").write_text(BOOKS.replace("authors.author_columns", include))

    with pytest.raises(SQLFileError, match=f"^books.sql:5:.*{re.escape(problem)}"):
        load_statements(folder / "books.sql")


def test_what_is_wrong_in_an_included_file_is_shown_there(folder: Path) -> None:
    (folder / "authors.sql").write_text(AUTHORS.replace("authors.name as", "authors.name = $1 as"))

    with pytest.raises(SQLFileError, match=r"^authors.sql:3:16: placeholders have names"):
        load_statements(folder / "books.sql")


def test_fragments_of_two_files_cannot_include_each_other(folder: Path) -> None:
    (folder / "authors.sql").write_text(
        AUTHORS.replace("authors.name as", "-- include: books.titles\n authors.name as")
    )
    (folder / "books.sql").write_text(f"{BOOKS}\n-- fragment: titles\n-- include: authors.author_columns\n")

    with pytest.raises(SQLFileError, match="includes itself: get_book -> author_columns -> titles -> author_columns"):
        load_statements(folder / "books.sql")


def test_a_fragment_that_only_another_file_includes_is_used(folder: Path) -> None:
    (folder / "authors.sql").write_text(AUTHORS.replace("    -- include: author_columns", "    1"))

    assert list(load_statements(folder / "authors.sql")) == ["get_author"]

    (folder / "books.sql").unlink()
    with pytest.raises(SQLFileError, match="no statement includes the fragment author_columns"):
        load_statements(folder / "authors.sql")
