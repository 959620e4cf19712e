"""Parameters that are set for one transaction, together with its BEGIN: a tenant for row-level security, a limit."""

import re
from collections.abc import Iterable, Mapping

Settings = Mapping[str, str | int | float | bool]
"""Names of parameters and their values, `{"app.tenant": "7"}`. True and False are `on` and `off`."""
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_$]*(?:\.[A-Za-z_][A-Za-z0-9_$]*)*")


def local_settings(settings: Settings | None) -> str:
    """Return SQL that sets them until the end of the transaction; "" for none.

    Raises ValueError for an invalid name or value.
    """
    if not settings:
        return ""
    calls = (f"set_config({_literal(name)}, {_literal(value)}, true)" for name, value in _checked(settings))
    return f"select {', '.join(calls)};"


def _checked(settings: Settings) -> Iterable[tuple[str, str]]:
    for name, value in settings.items():
        if not isinstance(name, str) or not _NAME.fullmatch(name):  # pyright: ignore[reportUnnecessaryIsInstance] - it becomes SQL
            raise ValueError(f"{name!r} is no name of a setting: write it as `app.tenant` or `work_mem`")
        if isinstance(value, bool):
            yield name, "on" if value else "off"
        elif not isinstance(value, (str, int, float)):  # pyright: ignore[reportUnnecessaryIsInstance] - it becomes SQL
            raise ValueError(f"the setting {name} takes text or a number, not {type(value).__name__}")  # noqa: TRY004 - as for every option
        elif "\0" in str(value):
            raise ValueError(f"the setting {name} has a NUL character, which text cannot hold")
        else:
            yield name, str(value)


def _literal(text: str) -> str:
    """Return a literal that does not depend on standard_conforming_strings."""
    return "E'" + text.replace("\\", "\\\\").replace("'", "''") + "'"
