"""The settings as a table, for the README."""

from pydantic.fields import FieldInfo

from app.settings import Settings


def settings_table() -> str:
    """Return the settings as a Markdown table: variable, default, meaning."""
    fields = Settings.model_fields.items()
    rows = [f"| `{name.upper()}` | {_default(field)} | {field.description} |" for name, field in fields]
    return "\n".join(["| variable | default | meaning |", "|---|---|---|", *rows])


def _default(field: FieldInfo) -> str:
    if field.default is None:
        return ""
    value: object = "*" if field.default == ("*",) else field.default
    return f"`{str(value).lower()}`"
