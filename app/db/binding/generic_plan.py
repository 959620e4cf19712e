"""Finds statements for which PostgreSQL cannot make a generic plan: it refuses them from the sixth run on.

PostgreSQL plans the first five runs of a prepared statement for their arguments, and then tries a generic plan, one for
any arguments. If that fails, the statement never runs again on that connection.
"""

import re
from functools import lru_cache

import asyncpg

# The first version that has `explain (generic_plan)`.
_EXPLAINS = 16
_PLANNED = frozenset({"select", "insert", "update", "delete", "merge", "values", "with", "table"})
# Parts that may need known arguments: an arbiter, a full join, a lock on the nullable side of an outer join.
_SUSPICIOUS = re.compile(
    r"\bconflict\b|\bfull\b|\bby\s+source\b|\bfor\s+(?:no\s+key\s+)?update\b|\bfor\s+(?:key\s+)?share\b", re.IGNORECASE
)
_REFUSALS = (asyncpg.InvalidColumnReferenceError, asyncpg.FeatureNotSupportedError, asyncpg.DataError)
REFUSED = "PostgreSQL runs it five times for known arguments and then never again: it has no plan for any arguments"


def is_refusal(error: Exception) -> bool:
    """Return whether planning failed because of the statement itself, not a missing privilege, a lock or a time-out."""
    return isinstance(error, _REFUSALS)


def is_refused_at_run(error: Exception) -> bool:
    """Return whether an error raised while a statement ran means that it has no generic plan."""
    if isinstance(error, asyncpg.FeatureNotSupportedError):
        return "FULL JOIN" in str(error) or "outer join" in str(error)
    return isinstance(error, asyncpg.InvalidColumnReferenceError) and error.position is None


@lru_cache(maxsize=1000)
def is_suspicious(sql: str) -> bool:
    """Return whether raw SQL has a parameter and a part that may need known arguments."""
    # EXPLAIN makes its own plan, and cannot be explained itself.
    return "$" in sql and not sql.startswith("explain ") and _SUSPICIOUS.search(sql) is not None


def generic_explain(sql: str, keyword: str, parameters: int, server: int) -> str | None:
    """Return SQL that makes a server of this major version plan the statement generically, without running it.

    None for a statement that needs no generic plan: it has no parameters, or it is not a query.
    """
    if not parameters or (keyword and keyword not in _PLANNED):
        return None
    return f"explain (generic_plan, costs off) {sql}" if server >= _EXPLAINS else _prepared_explain(sql, parameters)


def _prepared_explain(sql: str, parameters: int) -> str:
    """Return the same for PostgreSQL 15: one statement, so that it needs no transaction and leaves nothing behind."""
    # A text cannot end a quotation whose tag it does not contain.
    tag = next(tag for tag in (f"$bindery{number}$" for number in range(len(sql) + 1)) if tag not in sql)
    nulls = ", ".join(["null"] * parameters)
    return f"""do $bindery_generic_{tag[1:]} declare before text := current_setting('plan_cache_mode'); begin
        perform set_config('plan_cache_mode', 'force_generic_plan', true);
        execute {tag}prepare bindery_generic as {sql}
{tag};
        begin
            execute 'explain execute bindery_generic({nulls})';
        -- A domain may refuse the null, which is no problem of the plan.
        exception when not_null_violation or check_violation then null;
        when others then execute 'deallocate bindery_generic'; raise;
        end;
        execute 'deallocate bindery_generic';
        perform set_config('plan_cache_mode', before, true);
    end $bindery_generic_{tag[1:]}"""


def mend(error: asyncpg.PostgresError) -> str:
    """Return what to write instead, for an error of is_refusal()."""
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
