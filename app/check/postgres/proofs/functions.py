"""List the built-in functions that never return null: of the others nothing is known, not even of strict ones.

A strict function returns null for null. That it returns something for something is another claim, which often fails:
substring() with a pattern, to_char() with an empty format, array_length() of an empty array, the time of an infinite
timestamp, the sum of two closed paths. So only what is listed here counts.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from weakref import WeakKeyDictionary

import asyncpg

# Each computes a value from its arguments or raises an error.
TOTAL = """
    lower(text) upper(text) initcap(text) reverse(text) md5(text) ascii(text) chr(int4) repeat(text,int4)
    length(text) char_length(text) character_length(text) octet_length(text) length(bytea) octet_length(bytea)
    btrim(text) btrim(text,text) ltrim(text) ltrim(text,text) rtrim(text) rtrim(text,text)
    replace(text,text,text) translate(text,text,text) overlay(text,text,int4) overlay(text,text,int4,int4)
    substr(text,int4) substr(text,int4,int4) substring(text,int4) substring(text,int4,int4)
    left(text,int4) right(text,int4) lpad(text,int4) lpad(text,int4,text) rpad(text,int4) rpad(text,int4,text)
    strpos(text,text) position(text,text) split_part(text,text,int4) starts_with(text,text)
    regexp_replace(text,text,text) regexp_replace(text,text,text,text)
    format(text) format(text,"any") concat_ws(text,"any") quote_ident(text) quote_literal(text)
    encode(bytea,text) decode(text,text) sha256(bytea) sha512(bytea)
    textcat(text,text) byteacat(bytea,bytea)
    textlike(text,text) textnlike(text,text) texticlike(text,text) texticnlike(text,text)
    textregexeq(text,text) textregexne(text,text) texticregexeq(text,text) texticregexne(text,text)
    abs(int2) abs(int4) abs(int8) abs(float4) abs(float8) abs(numeric)
    ceil(float8) ceil(numeric) ceiling(float8) ceiling(numeric) floor(float8) floor(numeric)
    round(float8) round(numeric) round(numeric,int4) trunc(float8) trunc(numeric) trunc(numeric,int4)
    sign(float8) sign(numeric) sqrt(float8) sqrt(numeric) exp(float8) exp(numeric) ln(float8) ln(numeric)
    power(float8,float8) power(numeric,numeric) mod(int2,int2) mod(int4,int4) mod(int8,int8) mod(numeric,numeric)
    div(numeric,numeric)
    date_trunc(text,timestamp) date_trunc(text,timestamptz) date_trunc(text,timestamptz,text) to_timestamp(float8)
    timezone(text,timestamp) timezone(text,timestamptz)
    cardinality(anyarray) array_cat(anycompatiblearray,anycompatiblearray) array_to_string(anyarray,text)
    arrayoverlap(anyarray,anyarray) arraycontains(anyarray,anyarray) arraycontained(anyarray,anyarray)
    to_json(anyelement) to_jsonb(anyelement) row_to_json(record) array_to_json(anyarray)
    json_typeof(json) jsonb_typeof(jsonb) json_array_length(json) jsonb_array_length(jsonb)
    jsonb_concat(jsonb,jsonb) jsonb_contains(jsonb,jsonb) jsonb_contained(jsonb,jsonb) jsonb_exists(jsonb,text)
    nextval(regclass)
"""
# Never null, null arguments or not; but `concat(variadic null)` is, so a VARIADIC call does not count.
NEVER_NULL = """
    concat("any") json_build_object() json_build_object("any") json_build_array() json_build_array("any")
    jsonb_build_object() jsonb_build_object("any") jsonb_build_array() jsonb_build_array("any")
    array_append(anycompatiblearray,anycompatible) array_prepend(anycompatible,anycompatiblearray)
    now() clock_timestamp() statement_timestamp() transaction_timestamp() gen_random_uuid() uuidv4() uuidv7()
    random() pi() pg_backend_pid() txid_current() current_database() version()
"""
# Their columns are never null; each is given non-null arguments or yields no row.
NEVER_NULL_SETS = """
    generate_series(int4,int4) generate_series(int4,int4,int4) generate_series(int8,int8)
    generate_series(int8,int8,int8) generate_series(numeric,numeric) generate_series(numeric,numeric,numeric)
    generate_series(timestamp,timestamp,interval) generate_series(timestamptz,timestamptz,interval)
    generate_subscripts(anyarray,int4) generate_subscripts(anyarray,int4,bool)
    regexp_split_to_table(text,text) jsonb_array_elements(jsonb) json_array_elements(json)
    jsonb_object_keys(jsonb) json_object_keys(json)
"""
NEVER_NULL_AGGREGATES = 'count() count("any")'
NEVER_NULL_WINDOW_FUNCTIONS = 'count() count("any") row_number() rank() dense_rank() percent_rank() cume_dist()'
# Over a group, which has a row at least: null only where all of its values are.
GROUP_AGGREGATES = ["max", "min", "sum", "avg", "bool_and", "bool_or", "every", "bit_and", "bit_or", "string_agg"]
# Over a group, these keep nulls as members of what they return.
COLLECTING_AGGREGATES = [
    "array_agg", "json_agg", "json_agg_strict", "json_object_agg", "json_object_agg_strict", "json_object_agg_unique",
    "json_object_agg_unique_strict", "jsonb_agg", "jsonb_agg_strict", "jsonb_object_agg", "jsonb_object_agg_strict",
    "jsonb_object_agg_unique", "jsonb_object_agg_unique_strict",
]  # fmt: skip

# What becomes of the elements of an array is known of these; array_agg() of arrays is another function of that name.
ARRAY_FUNCTIONS = {
    "array_append(anycompatiblearray,anycompatible)": "array_append",
    "array_prepend(anycompatible,anycompatiblearray)": "array_prepend",
    "array_cat(anycompatiblearray,anycompatiblearray)": "array_cat",
    "array_remove(anycompatiblearray,anycompatible)": "array_remove",
    "trim_array(anyarray,int4)": "trim_array",
    "string_to_array(text,text)": "string_to_array",
    "regexp_split_to_array(text,text)": "regexp_split_to_array",
    "regexp_split_to_array(text,text,text)": "regexp_split_to_array",
    "array_agg(anynonarray)": "array_agg",
    "array_agg(anyarray)": "array_agg of arrays",
}

_NAMED = "select array_agg(to_regprocedure('pg_catalog.' || name)::oid) from unnest($1::text[]) as name"
# PostgreSQL demands of a B-tree's comparisons that they never return null for values; <> is the negation of one.
_COMPARISONS = """
select array_agg(o.oprcode::oid) from pg_operator as o
where o.oid < 16384 and exists (
    select from pg_amop as m where m.amopmethod = 403 and m.amopfamily < 16384 and m.amopopr in (o.oid, o.oprnegate))
"""
# Numbers and times only: path + path can be null. Overflow, division by zero and infinity - infinity are errors.
_ARITHMETIC = """
select array_agg(oprcode::oid) from pg_operator
where oid < 16384 and oprname in ('+', '-', '*', '/', '%', '^', '@')
  and oprleft = any ($1::text[]::regtype[] || 0::oid::regtype) and oprright = any ($1::text[]::regtype[])
"""
_CALCULABLE = [
    "int2", "int4", "int8", "float4", "float8", "numeric", "date", "time", "timestamp", "timestamptz", "interval",
]  # fmt: skip
# Length coercions, and conversions among these types. Not to time: an infinite timestamp has none, and yields null.
_CASTS = """
select array_agg(castfunc) from pg_cast
where oid < 16384 and castmethod = 'f' and castfunc < 16384
  and (castsource = casttarget or castsource = any ($1::text[]::regtype[]) and casttarget = any ($1::text[]::regtype[]))
"""
_CONVERTIBLE = [
    "bool", "int2", "int4", "int8", "float4", "float8", "numeric", "text", "varchar", "bpchar", "name",
    "date", "timestamp", "timestamptz",
]  # fmt: skip
_AGGREGATES = """
select array_agg(oid) from pg_proc where prokind = 'a' and oid < 16384 and proname = any ($1)
"""


@dataclass(frozen=True, slots=True)
class Functions:
    """Object ids of the built-in functions that never return null, by what that takes."""

    total: frozenset[int]
    """Not null where no argument is."""
    never_null: frozenset[int]
    never_null_sets: frozenset[int]
    never_null_aggregates: frozenset[int]
    never_null_window_functions: frozenset[int]
    group_aggregates: frozenset[int]
    """Over a group of rows: not null where no argument is."""
    collecting_aggregates: frozenset[int]
    """Over a group of rows: never null."""
    array_functions: Mapping[int, str]
    """Those that return arrays, by name."""


# A server's built-in functions do not change, and every statement needs them.
_loaded: WeakKeyDictionary[asyncpg.Connection, Functions] = WeakKeyDictionary()


async def load_functions(connection: asyncpg.Connection) -> Functions:
    """What is known on this server."""
    if connection not in _loaded:
        _loaded[connection] = await _load(connection)
    return _loaded[connection]


async def _load(connection: asyncpg.Connection) -> Functions:

    async def named(names: str) -> frozenset[int]:
        return _known(await connection.fetchval(_NAMED, names.split()))

    async def by_query(query: str, *arguments: list[str]) -> frozenset[int]:
        return _known(await connection.fetchval(query, *arguments))

    operators = await by_query(_COMPARISONS) | await by_query(_ARITHMETIC, _CALCULABLE)
    return Functions(
        total=await named(TOTAL) | operators | await by_query(_CASTS, _CONVERTIBLE),
        never_null=await named(NEVER_NULL),
        never_null_sets=await named(NEVER_NULL_SETS),
        never_null_aggregates=await named(NEVER_NULL_AGGREGATES),
        never_null_window_functions=await named(NEVER_NULL_WINDOW_FUNCTIONS),
        group_aggregates=await by_query(_AGGREGATES, GROUP_AGGREGATES),
        collecting_aggregates=await by_query(_AGGREGATES, COLLECTING_AGGREGATES),
        array_functions=dict(
            zip(await connection.fetchval(_NAMED, list(ARRAY_FUNCTIONS)), ARRAY_FUNCTIONS.values(), strict=True)
        ),
    )


def _known(oids: list[int | None] | None) -> frozenset[int]:
    """Without those that this version does not have."""
    return frozenset(oid for oid in oids or () if oid)
