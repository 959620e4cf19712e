"""The fields of a new resource: `title:text`, `due:date?`, and what each type is in SQL, Python and JSON."""

from dataclasses import dataclass
from typing import NamedTuple

from app.scaffold.checkout import ScaffoldError, check_name

# Columns that every resource has.
_OWN = frozenset({"id", "key", "created_at", "updated_at"})


class FieldType(NamedTuple):
    """A type of fields. `body` is its annotation in a request; `sample`, `other` and `invalid` are values in Python."""

    sql: str
    python: str
    body: str
    json: str
    shown: str
    """The expression for JSON, with the value in place of `{}`."""
    sample: str
    other: str
    invalid: str


TYPES = {
    "text": FieldType("text", "str", "Text", "str", "{}", '"a text"', '"another text"', "5"),
    "int": FieldType("integer", "int", "Integer", "int", "{}", "7", "8", '"seven"'),
    "bigint": FieldType("bigint", "int", "BigInteger", "int", "{}", "7_000_000_000", "8", "1.5"),
    "bool": FieldType("boolean", "bool", "bool", "bool", "{}", "True", "False", '"yes"'),
    "float": FieldType("double precision", "float", "Float", "float", "{}", "1.5", "2.5", '"much"'),
    "date": FieldType(
        "date", "date", "Day", "str", "{}.isoformat()", '"2026-01-31"', '"2026-02-28"', '"tomorrow"'
    ),
    "timestamptz": FieldType(
        "timestamptz", "datetime", "Moment", "str", "timestamp({})",
        '"2026-01-31T12:00:00.000Z"', '"2026-02-28T12:00:00.000Z"', '"2026-01-31"',
    ),
    "uuid": FieldType(
        "uuid", "UUID", "Id", "str", "str({})",
        '"7b0ac7c9-6a3c-4a44-8c8f-7d2f4f2c3f11"', '"0b0ac7c9-6a3c-4a44-8c8f-7d2f4f2c3f11"', '"7"',
    ),
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class ResourceField:
    """A column of a new resource. `optional` ones may be null, and absent in a request."""

    name: str
    type: FieldType
    optional: bool

    @property
    def json_name(self) -> str:
        """Its name in JSON, in camel case."""
        first, *others = self.name.split("_")
        return first + "".join(word.capitalize() for word in others)

    @property
    def is_text(self) -> bool:
        """Whether it is a text, whose length is limited."""
        return self.type.sql == "text"


def parse_fields(texts: tuple[str, ...]) -> list[ResourceField]:
    """Read `name:type` and `name:type?`. Raises ScaffoldError for an invalid or repeated one, or for none."""
    if not texts:
        raise ScaffoldError(f"name at least one field, such as title:text; the types are {', '.join(TYPES)}")
    fields = [_field(text) for text in texts]
    for field in fields:
        if [each.name for each in fields].count(field.name) > 1:
            raise ScaffoldError(f"the field {field.name!r} comes twice")
    if all(field.optional for field in fields):
        raise ScaffoldError("at least one field must be required: leave out the ? of one")
    return fields


def _field(text: str) -> ResourceField:
    name, colon, type_name = text.partition(":")
    optional = type_name.endswith("?")
    type_name = type_name.removesuffix("?")
    if not colon or type_name not in TYPES:
        raise ScaffoldError(f"the field {text!r}: write name:type or name:type?, with a type of {', '.join(TYPES)}")
    check_name(name, "the field")
    if name in _OWN:
        raise ScaffoldError(f"the field {name!r}: every resource has one of this name; choose another")
    return ResourceField(name, TYPES[type_name], optional)
