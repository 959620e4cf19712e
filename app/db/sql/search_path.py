"""Which SQL may change the search path, and with it what the names in other statements mean."""

import re

# "$user" in a search path is the role.
_CHANGES = re.compile(
    r"search_path|\bset\s+(?:local\s+|session\s+)?(?:schema|role|authorization)\b|\breset\s+(?:all|role|session)\b"
    r"|\bdiscard\b|\bset_config\s*\(\s*(?:E?'(?:role|session_authorization)'|(?!E?'[^']*'\s*,))",
    re.IGNORECASE,
)


def may_change_path(sql: str) -> bool:
    """Return whether this text may set the search path. A function that it calls may do so without being noticed."""
    return _CHANGES.search(sql) is not None
