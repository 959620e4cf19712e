"""Statements that PostgreSQL can plan only while it knows their arguments: it refuses them from the sixth run on.

It plans the first five runs of a prepared statement for their arguments, and then tries a plan for any. Where that one
is refused, the statement never runs again on that connection.
"""

import re
from functools import lru_cache

import asyncpg

# The first version that has `explain (generic_plan)`.
_EXPLAINS = 16
_PLANNED = frozenset({"select", "insert", "update", "delete", "merge", "values", "with", "table"})
# What may be planned for some arguments only: an arbiter, a full join, a lock behind an outer join.
_SUSPICIOUS = re.compile(
    r"\bconflict\b|\bfull\b|\bby\s+source\b|\bfor\s+(?:no\s+key\s+)?update\b|\bfor\s+(?:key\s+)?share\b", re.IGNORECASE
)
_REFUSALS = (asyncpg.InvalidColumnReferenceError, asyncpg.FeatureNotSupportedError, asyncpg.DataError)
REFUSED = "PostgreSQL runs it five times for known arguments and then never again: it has no plan for any arguments"


def is_refusal(error: Exception) -> bool:
    """Whether planning failed for what the statement says, and not for a right, a lock or the time that it takes."""
    return isinstance(error, _REFUSALS)


def is_refused_at_run(error: Exception) -> bool:
    """The same for an error that came while a statement ran, which may be one of a function in it."""
    if isinstance(error, asyncpg.FeatureNotSupportedError):
        return "FULL JOIN" in str(error) or "outer join" in str(error)
    return isinstance(error, asyncpg.InvalidColumnReferenceError) and error.position is None


@lru_cache(maxsize=1000)
def is_suspicious(sql: str) -> bool:
    """Whether raw SQL has a parameter and something that some arguments only can be planned with."""
    return "$" in sql and _SUSPICIOUS.search(sql) is not None


def generic_explain(sql: str, keyword: str, parameters: int, server: int) -> str | None:
    """What makes a server of that major version plan the statement for any arguments, without running it.

    None for a statement that needs no such plan: it has no parameters, or is no query.
    """
    if not parameters or (keyword and keyword not in _PLANNED):
        return None
    return f"explain (generic_plan, costs off) {sql}" if server >= _EXPLAINS else _prepared_explain(sql, parameters)


def _prepared_explain(sql: str, parameters: int) -> str:
    """The same for 15; one statement, so that it needs no transaction, and nothing stays of it."""
    # No text can end a quotation that it does not contain.
    tag = next(tag for tag in (f"$bindery{number}$" for number in range(len(sql) + 1)) if tag not in sql)
    nulls = ", ".join(["null"] * parameters)
    return f"""do $bindery_generic_{tag[1:]} declare before text := current_setting('plan_cache_mode'); begin
        perform set_config('plan_cache_mode', 'force_generic_plan', true);
        execute {tag}prepare bindery_generic as {sql}
{tag};
        begin
            execute 'explain execute bindery_generic({nulls})';
        -- A domain may refuse the null, which says nothing of the plan.
        exception when not_null_violation or check_violation then null;
        when others then execute 'deallocate bindery_generic'; raise;
        end;
        execute 'deallocate bindery_generic';
        perform set_config('plan_cache_mode', before, true);
    end $bindery_generic_{tag[1:]}"""


def mend(error: asyncpg.PostgresError) -> str:
    """What to write instead, for an error of is_refusal()."""
    message = error.message or ""
    if isinstance(error, asyncpg.InvalidColumnReferenceError):
        return (
            "repeat the columns, expressions and predicate of a unique index, with its constants written out"
            " (`on conflict (a) where kind = 'x'`) and no placeholder among them"
        )
    if "FULL JOIN" in message:
        return "join by `=` alone and test arguments in a subquery on one side of it, or write a union of two joins"
    if "outer join" in message:
        return "lock the table that is always there alone, `for update of a`, or join the other one without `left`"
    if isinstance(error, asyncpg.DataError):
        return "write a constant that can be computed: it is computed once for all arguments, in a branch of CASE, too"
    return "write the statement so that it can be planned without knowing its arguments"
