"""What SQL leaves in its session after the transaction, which PgBouncer would hand to another client."""

import re
from itertools import pairwise

from app.db.sql.lexer import Kind, Token, tokenize

_SESSION_STATEMENTS = frozenset({"reset", "listen", "unlisten", "prepare", "deallocate", "load", "discard"})
_ROWS_INTO = frozenset({"insert", "merge"})
_BEFORE_TEMPORARY = frozenset({"or", "replace", "global", "local"})
_SESSION_FUNCTIONS = re.compile(r"pg_(?:try_)?advisory_(?:lock|unlock)(?:_shared|_all)?")


def session_state(sql: str) -> str | None:
    """What this text certainly leaves in the session after its transaction ends, None for nothing: "LISTEN", "SET"."""
    tokens = [token for token in tokenize(sql) if not token.is_gap]
    start = 0
    for index, token in enumerate([*tokens, Token(Kind.PUNCTUATION, 0, 0, ";")]):
        if token.text == ";":
            if found := _left_by([each.text.lower() for each in tokens[start:index]]):
                return found
            start = index + 1
    return None


def _left_by(words: list[str]) -> str | None:
    first, second = (*words, "", "")[:2]
    if first in _SESSION_STATEMENTS and second != "transaction":
        return first.upper()
    if first == "set" and second not in {"local", "transaction", "constraints"}:
        return "SET without LOCAL"
    if _makes_temporary(words):
        return "a temporary table"
    if first == "declare" and "hold" in words and "without" not in words:
        return "a cursor WITH HOLD"
    called = [(word.strip('"'), index) for index, (word, after) in enumerate(pairwise(words)) if after == "("]
    if lock := next((word for word, _ in called if _SESSION_FUNCTIONS.fullmatch(word)), None):
        return f"{lock}()"
    settings = [index for word, index in called if word == "set_config"]
    local = all(_last_argument(words, index + 1) == "true" for index in settings)
    return None if local else "set_config() for the session"


def _makes_temporary(words: list[str]) -> bool:
    """Whether it is CREATE TEMPORARY or SELECT INTO TEMPORARY; a column may have that name."""
    makers = [index for index, word in enumerate(words) if word == "into" and words[index - 1] not in _ROWS_INTO]
    if words[:1] == ["create"]:
        makers.append(0)
    if makers and "pg_temp" in words:
        return True
    of_what = (next((word for word in words[maker + 1 :] if word not in _BEFORE_TEMPORARY), "") for maker in makers)
    return not {"temp", "temporary"}.isdisjoint(of_what)


def _last_argument(words: list[str], opening: int) -> str | None:
    """The last word before the parenthesis that closes this one; None where none does."""
    depth = 0
    for index in range(opening, len(words)):
        depth += {"(": 1, ")": -1}.get(words[index], 0)
        if depth == 0:
            return words[index - 1]
    return None
