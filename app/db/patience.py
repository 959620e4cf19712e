"""How long the client waits for a statement: a while longer than the server's own statement_timeout lets it run."""

import re

SILENCE = 5.0
"""How much longer than the server, in seconds: only a dead network takes that long."""
_SETTING = "statement_timeout"
# In PostgreSQL's units, by their seconds; a bare number is in milliseconds.
_UNITS = {"us": 1e-6, "ms": 1e-3, "": 1e-3, "s": 1.0, "min": 60.0, "h": 3600.0, "d": 86400.0}
_DURATION = re.compile(r"\s*([+-]?(?:\d+(?:\.\d*)?|\.\d+))\s*([a-z]*)\s*", re.ASCII)
# `set_config($1, …)` may set whatever its caller says.
_SETS_ANYTHING = re.compile(r"\bset_config\s*\(\s*\$", re.IGNORECASE | re.ASCII)
_SET = re.compile(
    rf"{_SETTING}['\"]?\s*(?:=|\bto\b|,)\s*(?:'([^']*)'|([0-9.]+)|(default\b))?", re.IGNORECASE | re.ASCII
)


def patience(statement_timeout: str) -> float | None:
    """Seconds after which a server that should have answered or given up counts as dead; None for a limit of 0.

    Raises ValueError for what PostgreSQL would not take for a duration.
    """
    limit = _seconds(statement_timeout)
    return limit + SILENCE if limit else None


def mentions_limit(sql: str) -> bool:
    """Whether this text may set statement_timeout."""
    return _SETTING in sql.lower() or _SETS_ANYTHING.search(sql) is not None


def raised_patience(sql: str, before: float | None) -> float | None:
    """The patience after a text that mentions_limit(): never less than `before`, None where it says no fixed limit."""
    found = None if _SETS_ANYTHING.search(sql) else before
    for quoted, number, default in _SET.findall(sql):
        if default or found is None:
            continue
        try:
            wanted = patience(quoted or number)
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
