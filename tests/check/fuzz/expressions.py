"""Random expressions of a wanted type, from templates with holes of other types."""

import random
import re
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

TYPES = ["int", "text", "bool", "timestamp", "int[]"]
_HOLE = re.compile(r"\{(query )?([Ta-z\[\]]+)\}")

_CONSTANTS = {
    "int": ["0", "1", "2", "7", "(-1)"],
    "text": ["''::text", "'a'::text", "'Cup'::text", "'b%'::text"],
    "bool": ["true", "false"],
    "timestamp": ["timestamp '2020-02-02'", "timestamp 'infinity'"],
    "int[]": ["array[]::int[]", "array[1, null]", "'{1,2}'::int[]"],
}
_COMMON = [
    "coalesce({T}, {T})",
    "nullif({T}, {T})",
    "case when {bool} then {T} else {T} end",
    "case when {bool} then {T} end",
    "greatest({T}, {T})",
    "least({T}, {T}, {T})",
    "(select s.c1 from ({query T}) as s limit 1)",
    "(select {T})",
    "(select {T} where {bool})",
]
_OWN = {
    "int": [
        "({int} + {int})", "({int} - {int})", "(- {int})", "({int} % 3)", "abs({int})", "length({text})",
        "strpos({text}, {text})", "cardinality({int[]})", "array_length({int[]}, 1)", "({int[]})[1]",
        "extract(day from {timestamp})::int", "{int}::text::int", "{int}::bigint::int", "unlikely({int})",
        "(select count(*)::int from ({query int}) as s)", "(select count(s.c1)::int + {int} from ({query int}) as s)",
        "ascii({text})", "mod({int}, 2)", "{bool}::int", "(select max(s.c1) from ({query int}) as s)",
        "sign({int}::numeric)::int",
    ],
    "text": [
        "lower({text})", "({text} || {text})", "({text} || {int}::text)", "substring({text} from '[a-c]+')",
        "substr({text}, 1, 2)", "concat({text}, {int})", "concat(variadic null::text[])", "concat_ws({text}, {text})",
        "format('%s', {text})", "format({text})", "to_char({timestamp}, '')", "to_char({timestamp}, 'YYYY')",
        "(array[{text}])[1]", "{int}::text", "{timestamp}::text", "{timestamp}::time::text", "left({text}, 1)",
        "split_part({text}, 'a', 1)", "regexp_replace({text}, 'a', 'b')", "array_to_string({int[]}, ',')",
        "current_user::text", "current_schema::text", "{text}::varchar(2)::text", "{bool}::text", "md5({text})",
        "json_array({int}, {text})::text", "json_object('a': {int} absent on null returning text)",
        "to_json({int})::text", "jsonb_build_object('a', {int})->>'a'", "to_jsonb({text})::text",
    ],
    "bool": [
        "({int} = {int})", "({int} < {int})", "({text} >= {text})", "({text} like {text})", "({T} <> {T})",
        "({int} is null)", "({text} is not null)", "({timestamp} is not null)", "({bool} is true)",
        "({bool} is not unknown)", "({int} is distinct from {int})", "({T} is not distinct from {T})", "(not {bool})",
        "({bool} and {bool})",
        "({bool} or {bool})", "({int} in ({int}, {int}))", "({int} = any ({int[]}))", "({int} <> all ({int[]}))",
        "exists ({query int})", "({int} in ({query int}))", "({int} not in ({query int}))", "({int[]} = {int[]})",
        "({int} between {int} and {int})", "((row({int}, {text})) is not null)", "(({int}, {text}) = ({int}, {text}))",
        "(({int}, {int}) < ({int}, {int}))", "({timestamp} <= {timestamp})", "({int[]} @> {int[]})",
        "({int} = all ({query int}))", "({text} is json)", "(lower({text}) = {text})", "(unlikely({int}) > 0)",
    ],
    "timestamp": [
        "date_trunc('day', {timestamp})", "({timestamp} + interval '1 day')", "localtimestamp",
        "({timestamp}::date)::timestamp", "timezone('UTC', timezone('UTC', {timestamp}))",
    ],
    "int[]": [
        "array[{int}, {int}]", "array({query int})", "array_append({int[]}, {int})", "({int[]} || {int[]})",
        "array_cat({int[]}, {int[]})", "array_remove({int[]}, {int})", "({int[]})[1:1]", "({int} || {int[]})",
    ],
}  # fmt: skip
_AGGREGATES = {
    "int": [
        "count(*)::int", "count({int})::int", "max({int})", "min({int})", "sum({int})::int", "stddev({int})::int",
        "max({int}) filter (where {bool})", "count(*) filter (where {bool})::int", "(array_agg({int}))[1]",
        "count(distinct {text})::int", "avg({int})::int", "bit_and({int})", "coalesce(sum({int}), 0)::int",
        "mode() within group (order by {int})",
    ],
    "text": [
        "max({text})", "string_agg({text}, ',')", "string_agg({text}, {text} order by {int})", "min({text}) || 'x'",
        "json_arrayagg({int} null on null)::text", "json_arrayagg({text} returning text)",
    ],
    "bool": ["bool_and({bool})", "bool_or({bool})", "every({bool})", "(count(*) > 1)", "(max({int}) > 1)"],
    "timestamp": ["max({timestamp})", "min({timestamp})", "max({timestamp}) filter (where {bool})"],
    "int[]": [
        "array_agg({int})", "array_agg({int}) filter (where {bool})", "max({int[]})", "array_agg({int} order by 1)",
    ],
}  # fmt: skip
_WINDOW = "over (partition by {bool} order by {int})"
_FRAME = "over (order by {int} rows between 2 preceding and 1 preceding)"
_WINDOWS = {
    "int": [
        f"row_number() {_WINDOW}::int", f"rank() {_WINDOW}::int", f"dense_rank() {_WINDOW}::int",
        f"lag({{int}}) {_WINDOW}", f"lead({{int}}, 1, {{int}}) {_WINDOW}", f"first_value({{int}}) {_FRAME}",
        f"count({{int}}) {_FRAME}::int", f"sum({{int}}) {_FRAME}::int", f"max({{int}}) {_WINDOW}",
        "ntile({int}) over ()",
    ],
    "text": [f"lag({{text}}) {_WINDOW}", f"nth_value({{text}}, 2) {_WINDOW}", f"max({{text}}) {_FRAME}"],
    "bool": [f"(percent_rank() {_WINDOW} > 0)", f"bool_and({{bool}}) {_FRAME}"],
    "timestamp": [f"last_value({{timestamp}}) {_WINDOW}", f"lead({{timestamp}}) {_WINDOW}"],
    "int[]": [f"array_agg({{int}}) {_FRAME}", f"array_agg({{int}}) {_WINDOW}"],
}  # fmt: skip


class Column(NamedTuple):
    """A column that an expression can use, by the text that names it."""

    text: str
    type: str


Subquery = Callable[[str, Sequence[Column], int], str]
"""Writes a query with one column of a type, given what it can use and its depth."""


class Expressions:
    """Writes expressions; the same generator of random numbers in the same state writes the same ones."""

    def __init__(self, rng: random.Random, subquery: Subquery) -> None:
        self._rng = rng
        self._subquery = subquery

    def value(self, wanted: str, columns: Sequence[Column], depth: int) -> str:
        """An expression over one row."""
        if depth <= 0 or self._rng.random() < 0.4:
            return self._leaf(wanted, columns)
        if self._rng.random() < 0.3:
            return self._fill(self._rng.choice(_COMMON), wanted, columns, depth - 1)
        return self._fill(self._rng.choice(_OWN[wanted]), self._rng.choice(TYPES), columns, depth - 1)

    def aggregate(self, wanted: str, columns: Sequence[Column], depth: int) -> str:
        """An aggregate over the rows of a group."""
        return self._from(_AGGREGATES, wanted, columns, depth)

    def window(self, wanted: str, columns: Sequence[Column], depth: int) -> str:
        """A window function."""
        return self._from(_WINDOWS, wanted, columns, depth)

    def _from(self, templates: Mapping[str, list[str]], wanted: str, columns: Sequence[Column], depth: int) -> str:
        return self._fill(self._rng.choice(templates[wanted]), wanted, columns, min(depth, 1))

    def _leaf(self, wanted: str, columns: Sequence[Column]) -> str:
        fitting = [column.text for column in columns if column.type == wanted]
        if fitting and self._rng.random() < 0.8:
            return self._rng.choice(fitting)
        if self._rng.random() < 0.2:
            return f"null::{wanted}"
        return self._rng.choice(_CONSTANTS[wanted])

    def _fill(self, template: str, any_type: str, columns: Sequence[Column], depth: int) -> str:
        def fill(hole: re.Match[str]) -> str:
            type_ = any_type if hole[2] == "T" else hole[2]
            return self._subquery(type_, columns, depth) if hole[1] else self.value(type_, columns, depth)

        return _HOLE.sub(fill, template)
