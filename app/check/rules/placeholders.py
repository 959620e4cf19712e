"""Say what to write where a placeholder cannot stand: for a list, a column, a part of the syntax."""

from itertools import pairwise

import asyncpg

from app.db.sql.lexer import Kind, Token, tokenize
from app.db.sql.statement import Statement

_VALUE = "a placeholder stands for one value: write names and keywords out, in a statement for each"
_REFUSED_WHERE_THEY_STAND = {
    asyncpg.PostgresSyntaxError.sqlstate,
    asyncpg.InvalidColumnReferenceError.sqlstate,  # order by :x in `select distinct`
    asyncpg.FeatureNotSupportedError.sqlstate,  # order by :x of a union
}


def list_mend(name: str) -> str:
    """Return what to write instead of `in (:name)` for a list."""
    return f"compare with the values of a list by `= any (:{name})`, and with none of them by `<> all (:{name})`"


def order_mend(name: str) -> str:
    """Return what to write instead of `order by :name`."""
    return (
        f"name the columns: `order by case :{name} when 'name' then name end, …`; or write a statement for each order"
    )


def instead(statement: Statement, error: asyncpg.PostgresError) -> str | None:
    """Return what to write instead of a placeholder that PostgreSQL refuses in its place; None for other errors."""
    code = [token for token in tokenize(statement.text) if not token.is_gap]
    if error.sqlstate == asyncpg.UndefinedFunctionError.sqlstate and "[]" in error.message:
        in_brackets = [token for token in code if token.text != "("]
        return next((list_mend(name) for word, name in _placeholders(statement, in_brackets) if word == "in"), None)
    if error.sqlstate not in _REFUSED_WHERE_THEY_STAND or not error.position:
        return None
    before = [token for token in code if token.start < int(error.position)]
    if before[-1].kind is not Kind.PARAMETER:
        return None
    word, name = list(_placeholders(statement, before))[-1]
    mends = {"in": list_mend(name), "by": order_mend(name)}
    return mends.get(word, _VALUE)


def _placeholders(statement: Statement, tokens: list[Token]) -> list[tuple[str, str]]:
    """Yield the names of the placeholders, each with the word before it."""
    return [
        (before.text.lower(), statement.parameters[int(token.text[1:]) - 1])
        for before, token in pairwise(tokens)
        if token.kind is Kind.PARAMETER
    ]
