"""Objects in request bodies: their models, the rules for their values, and a sentence for each broken rule."""

import re
from collections.abc import Callable
from datetime import date, datetime
from typing import Annotated, Any, ClassVar, TypeVar
from uuid import UUID

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    GetCoreSchemaHandler,
    GetJsonSchemaHandler,
    ValidationError,
)
from pydantic.alias_generators import to_camel
from pydantic_core import CoreSchema, ErrorDetails, PydanticCustomError, core_schema

from app.http.errors import Invalid

BLANK = "can't be blank"
UNSTORABLE = "must not contain a NUL character or half of a surrogate pair"
_UNSTORABLE = re.compile("[\0\ud800-\udfff]")
NO_NUL = r"^[^\u0000]*$"
# Python's spaces: those of regular expressions in JSON schemas, and five more.
SPACE = r"\s\u001c-\u001f\u0085"
NOT_BLANK = rf"^[^\u0000]*[^{SPACE}\u0000][^\u0000]*$"
"""What a JSON schema can say of these rules: half of a surrogate pair is no text to begin with."""
Body = TypeVar("Body", bound="RequestBody")


class RequestBody(BaseModel):
    """An object in a request body: camelCase names, strict types, unknown fields ignored.

    Every text has a `max_length`, declared right at `str`: it is measured before anything else looks at the value.
    """

    model_config = ConfigDict(alias_generator=to_camel, strict=True, extra="ignore", hide_input_in_errors=True)

    EXAMPLE: ClassVar[dict[str, Any]] = {}
    """One that is accepted, for /openapi.json."""


class Rule:
    """A check of a field, which returns the value or raises, and the keywords that say the same in its JSON schema.

    If a field has several, `pattern` is that of the last one.
    """

    def __init__(self, check: Callable[[Any], Any], **keywords: Any) -> None:
        self._check = check
        self._keywords = keywords

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_after_validator_function(self._check, handler(source))

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        return {**handler(schema), **self._keywords}


def storable(value: str) -> str:
    """Return the value. Refuse it if no text column could hold it."""
    if _UNSTORABLE.search(value):
        raise PydanticCustomError("unstorable", UNSTORABLE)
    return value


def required(value: str) -> str:
    """Return the value. Refuse it if it is blank or no text column could hold it."""
    if not storable(value).strip():
        raise PydanticCustomError("blank", BLANK)
    return value


def _parsed(parse: Callable[[str], Any], problem: str) -> BeforeValidator:
    def convert(value: object) -> Any:
        try:
            return parse(value) if isinstance(value, str) else parse("")
        except ValueError:
            raise PydanticCustomError("text_format", problem) from None  # pyright: ignore[reportArgumentType] - a constant

    return BeforeValidator(convert)


def _moment(text: str) -> datetime:
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        raise ValueError("without a time zone")
    return moment


Day = Annotated[date, _parsed(date.fromisoformat, "must be a date: YYYY-MM-DD")]
"""A date, as text in JSON."""
Moment = Annotated[datetime, _parsed(_moment, "must be a time with its zone: 2026-01-31T12:00:00Z")]
"""A moment with a time zone, as text in JSON."""
Id = Annotated[UUID, _parsed(UUID, "must be a UUID")]
"""A UUID, as text in JSON."""
Integer = Annotated[int, Field(ge=-(2**31), le=2**31 - 1)]
"""A whole number that an `integer` column holds."""
BigInteger = Annotated[int, Field(ge=-(2**63), le=2**63 - 1)]
"""A whole number that a `bigint` column holds."""
Float = Annotated[float, Field(allow_inf_nan=False)]
"""A number that a `double precision` column holds."""
STORABLE = Rule(storable, pattern=NO_NUL)
REQUIRED = Rule(required, pattern=NOT_BLANK)


def too_long(limit: int) -> str:
    """Return the sentence about a text of more than `limit` characters."""
    return f"is too long (at most {limit} characters)"


def parse(body: dict[str, Any], envelope: str, model: type[Body]) -> Body:
    """Return the object inside the envelope, `{"user": {...}}`, as a model. Raises Invalid, which names each field."""
    if envelope not in body or body[envelope] is None:
        raise Invalid({envelope: [BLANK]})
    try:
        return model.model_validate(body[envelope])
    except ValidationError as error:
        raise Invalid(problems(error, envelope)) from None


def problems(error: ValidationError, whole: str) -> dict[str, list[str]]:
    """Return the sentences by field. `whole` is the name of the object itself."""
    found: dict[str, list[str]] = {}
    for detail in error.errors(include_url=False, include_context=True, include_input=True):
        field, *inside = detail["loc"] or (whole,)
        entry = f"entry {int(inside[0]) + 1} " if inside else ""
        found.setdefault(str(field), []).append(entry + _sentence(detail))
    return found


def _sentence(detail: ErrorDetails) -> str:
    """Return one sentence about a value. An absent or null value reads the same as a blank one."""
    kind, value, limits = detail["type"], detail["input"], detail.get("ctx", {})
    if kind == "missing" or (value is None and kind == "string_type") or (kind == "string_too_short" and _blank(value)):
        return BLANK
    sentences: dict[str, Callable[[], str]] = {
        "string_type": lambda: "must be a string",
        "string_unicode": lambda: UNSTORABLE,
        "string_too_short": lambda: f"is too short (at least {limits['min_length']} characters)",
        "string_too_long": lambda: too_long(limits["max_length"]),
        "list_type": lambda: "must be a list",
        "too_long": lambda: f"has too many entries (at most {limits['max_length']})",
        "model_type": lambda: "must be an object",
        "int_type": lambda: "must be a whole number",
        "float_type": lambda: "must be a number",
        "finite_number": lambda: "must be a finite number",
        "bool_type": lambda: "must be true or false",
        "greater_than_equal": lambda: f"must be at least {limits['ge']}",
        "less_than_equal": lambda: f"must be at most {limits['le']}",
    }
    return sentences.get(kind, lambda: detail["msg"])()


def _blank(value: object) -> bool:
    return isinstance(value, str) and not value.strip()
