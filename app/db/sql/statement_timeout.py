"""How long the client waits for an answer: a little longer than the server's statement_timeout."""

import re

GRACE = 5.0
"""How much longer the client waits than the server works, in seconds. Only a dead network takes that long."""
_SETTING = "statement_timeout"
# Seconds in each of PostgreSQL's units; a bare number is in milliseconds.
_UNITS = {"us": 1e-6, "ms": 1e-3, "": 1e-3, "s": 1.0, "min": 60.0, "h": 3600.0, "d": 86400.0}
_DURATION = re.compile(r"\s*([+-]?(?:\d+(?:\.\d*)?|\.\d+))\s*([a-z]*)\s*", re.ASCII)
# `set_config($1, …)` may set any parameter.
_SETS_ANYTHING = re.compile(r"\bset_config\s*\(\s*\$", re.IGNORECASE | re.ASCII)
_SET = re.compile(
    rf"{_SETTING}['\"]?\s*(?:=|\bto\b|,)\s*(?:'([^']*)'|([0-9.]+)|(default\b))?", re.IGNORECASE | re.ASCII
)


def answer_timeout(statement_timeout: str) -> float | None:
    """Return the seconds after which a server that has not answered counts as dead; None for a limit of 0.

    Raises ValueError when the text is not a duration in PostgreSQL's syntax.
    """
    limit = _seconds(statement_timeout)
    return limit + GRACE if limit else None


def mentions_statement_timeout(sql: str) -> bool:
    """Return whether this text may set statement_timeout."""
    return _SETTING in sql.lower() or _SETS_ANYTHING.search(sql) is not None


def raised_answer_timeout(sql: str, before: float | None) -> float | None:
    """Return the answer timeout after a text for which mentions_statement_timeout() is true, in seconds.

    It is never less than `before`. None means no limit: the text sets 0, or a value that is not a constant.
    """
    found = None if _SETS_ANYTHING.search(sql) else before
    for quoted, number, default in _SET.findall(sql):
        if default or found is None:
            continue
        try:
            wanted = answer_timeout(quoted or number)
        except ValueError:
            # A placeholder, or an expression: any limit.
            return None
        found = None if wanted is None else max(found, wanted)
    return found


def _seconds(duration: str) -> float:
    found = _DURATION.fullmatch(duration)
    if found is None or found[2] not in _UNITS or float(found[1]) < 0:
        raise ValueError(
            f"{_SETTING} is {duration!r}: write a number of milliseconds, or one with a unit: us, ms, s, min, h or d"
        )
    return float(found[1]) * _UNITS[found[2]]
