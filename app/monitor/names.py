"""The names of statements in the texts that PostgreSQL shows."""

import re

_NAME = re.compile(r"/\* ([\w-]+\.[a-z_][a-z0-9_]*) \*/\s*\Z")


def statement_name(text: str) -> str | None:
    """Return `file.name` from the comment at the end of a query's text.

    None for SQL that is not from a file, and for a text that PostgreSQL cut off at track_activity_query_size.
    """
    found = _NAME.search(text, max(0, len(text) - 300))
    return found[1] if found else None
