"""Make Python's names and literals of PostgreSQL's: what is a name there need not be one in Python."""

import json
import keyword
import re
from collections.abc import Collection
from unicodedata import normalize

_NO_NAME = re.compile(r"\W+|_+")


def is_field_name(name: str) -> bool:
    """Return whether a field can have this name and keeps it: Python mangles `__x` and normalizes letters.

    Of what every class has (`mro`), a dataclass would make the field's default.
    """
    return (
        name.isidentifier()
        and not keyword.iskeyword(name)
        and not name.startswith("__")
        and not hasattr(type, name)
        and normalize("NFKC", name) == name
    )


def class_name(text: str) -> str:
    """Return a valid class name for any text: Mood for `mood`, AuditOrderState for `audit."order state"`."""
    name = _identifier("".join(word.capitalize() for word in _NO_NAME.split(text)))
    return name if name.isidentifier() and not keyword.iskeyword(name) else f"Row{name}"


def unused_name(name: str, used: Collection[str]) -> str:
    """Return the name, with a number at its end if it is used already."""
    number, found = 1, name
    while found in used:
        number += 1
        found = f"{name}{number}"
    return found


def member_names(labels: Collection[str]) -> dict[str, str]:
    """Return the names of an enum's members by label: SO_SO for `so-so`, LABEL_1ST for `1st`."""
    members: dict[str, str] = {}
    for label in labels:
        # The enum module keeps names that begin and end with an underscore to itself.
        name = _identifier("_".join(_NO_NAME.split(label.upper()))).strip("_")
        if not name.isidentifier():
            name = f"LABEL_{name}".rstrip("_")
        members[label] = unused_name(name, members.values())
    return members


def literal(text: str) -> str:
    """Return the source of a string, in double quotes."""
    return json.dumps(text, ensure_ascii=False)


def docstring(text: str) -> str:
    """Return the source of a docstring."""
    escaped = text.replace("\\", "\\\\").replace('"""', '\\"\\"\\"')
    return f'"""{escaped[:-1]}\\""""' if escaped.endswith('"') else f'"""{escaped}"""'


def _identifier(text: str) -> str:
    """Return the text as Python normalizes it, without characters that no name can have."""
    return "".join(letter for letter in normalize("NFKC", text) if f"a{letter}".isidentifier())
