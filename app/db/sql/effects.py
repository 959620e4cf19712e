"""What a statement may do besides returning rows: change the session, or write. Judged by its text at import."""

import re
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from itertools import pairwise

from app.db.sql.lexer import Kind, Token, tokenize

# The functions of PostgreSQL that are known to leave the session alone and to write nothing. Any other may do either
# (set_config, pg_advisory_lock, nextval, dblink, one of your own), so the list is short: aggregates, window functions,
# and the plain computations that queries are made of. A longer one would save a reset now and then and be wrong one
# day.
HARMLESS_FUNCTIONS = frozenset(
    """
    abs array_agg array_length array_position array_to_string avg bool_and bool_or cardinality ceil char_length
    clock_timestamp concat concat_ws count cume_dist date_part date_trunc dense_rank every first_value floor
    gen_random_uuid generate_series json_agg json_build_array json_build_object jsonb_agg jsonb_array_elements
    jsonb_array_elements_text jsonb_build_array jsonb_build_object lag last_value lead left length like lower ltrim
    make_interval max md5 min mod now ntile percent_rank plainto_tsquery rank regexp_replace replace right round
    row_number row_to_json rtrim split_part string_agg string_to_array strpos substr sum to_char to_json
    to_jsonb to_tsquery to_tsvector ts_rank unnest upper websearch_to_tsquery
    """.split()
)
# Words that a parenthesis may follow, and that no function can have for its name: syntax, and types with a length.
_SYNTAX = frozenset(
    """
    all and any array as between bit case cast char character check coalesce collate decimal default distinct else
    end except exists extract float for from greatest group grouping having in intersect interval lateral least limit
    normalize not nullif numeric offset on only or order overlay position returning row select some substring then
    time timestamp to treat trim union unique using values varchar when where window with xmlelement xmlforest
    """.split()
)
# Words that are syntax after these words, and could be the name of a function elsewhere.
_SYNTAX_AFTER = {
    "by": {"group", "order", "partition"},
    "conflict": {"on"},
    "filter": {")"},
    "materialized": {"as", "not"},
    "over": {")"},
    "sets": {"grouping"},
    "varying": {"bit", "char", "character"},
}
# `f(select 1)` is not a call in SQL, so a name before these is not a function's: `join (select …)`.
_QUERIES = frozenset({"select", "with", "table"})
_STATEMENTS = frozenset({"select", "with", "values", "table", "insert", "update", "delete", "merge"})
# After these words comes a name with columns in parentheses, not a call.
_NAMING = frozenset({"into", "as", "with", "recursive"})
# Any of these words may write or lock. A statement that certainly only reads has none of them, in any role.
_WRITING = frozenset({"insert", "update", "delete", "merge", "into", "share", "nextval"})
_CLOSES_SESSION = re.compile(r"\b(?:prepare|load)\b", re.IGNORECASE)
_DROPS_STATEMENTS = re.compile(r"\b(?:discard|deallocate)\b", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Effects:
    """`touches_session`: it may leave parameters, locks or temporary tables behind. `reads_only`: it may run twice."""

    touches_session: bool
    reads_only: bool


def effects_of(sql: str, harmless: Collection[str] = ()) -> Effects:
    """Return the effects of one statement. `harmless` names user-defined functions that do neither."""
    tokens = [token for token in tokenize(sql) if not token.is_gap]
    words = {token.text.lower() for token in tokens if token.kind is Kind.WORD}
    unknown = any(name not in HARMLESS_FUNCTIONS and name not in harmless for name in _calls(tokens))
    first = next((token.text.lower() for token in tokens if token.kind is Kind.WORD), "")
    touches_session = unknown or first not in _STATEMENTS or _is_several(tokens) or _selects_into(tokens)
    return Effects(touches_session, reads_only=not touches_session and not words & _WRITING)


def is_one_statement(sql: str) -> bool:
    """Whether the text is a single statement, with a semicolon at its end or without."""
    return not _is_several([token for token in tokenize(sql) if not token.is_gap])


def outlives_reset(sql: str) -> bool:
    """Whether raw SQL may leave behind what no reset undoes: statements of PREPARE, libraries of LOAD."""
    return _CLOSES_SESSION.search(sql) is not None


def drops_statements(sql: str) -> bool:
    """Whether raw SQL may drop the statements that are prepared in its session: DISCARD ALL, DEALLOCATE."""
    return _DROPS_STATEMENTS.search(sql) is not None


def _is_several(tokens: list[Token]) -> bool:
    return any(token.text == ";" for token in tokens[:-1])


def _selects_into(tokens: list[Token]) -> bool:
    """Whether a table is created from a query: a temporary one need not say so, `into pg_temp.t`."""
    return any(
        token.text.lower() == "into" and before.text.lower() not in {"insert", "merge"}
        for before, token in pairwise(tokens)
    )


def _calls(tokens: list[Token]) -> Iterator[str]:
    """The names that are called, as written: a quoted or qualified one with its quotes and dots."""
    for index, token in enumerate(tokens[1:], start=1):
        if token.text != "(" or tokens[index - 1].kind not in {Kind.WORD, Kind.QUOTED_IDENTIFIER}:
            continue
        if any(each.text.lower() in _QUERIES for each in tokens[index + 1 : index + 2]):
            continue
        start = index - 1
        while start >= 2 and tokens[start - 1].text == ".":
            start -= 2
        name = "".join(each.text for each in tokens[start:index])
        # PostgreSQL folds ASCII letters only, Python others as well: a Kelvin sign is no k.
        name = name.lower() if name.isascii() else name
        before = tokens[start - 1].text.lower() if start else ""
        if name not in _SYNTAX and before not in _SYNTAX_AFTER.get(name, _NAMING):
            yield name.removeprefix("pg_catalog.")
