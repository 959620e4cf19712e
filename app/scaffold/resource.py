"""Writes a new resource: migration, SQL file, repository, handler and tests, in the style of the house."""

import re
from collections.abc import Callable, Iterable
from pathlib import Path

from app.migration_files import migration_ids
from app.scaffold.checkout import ScaffoldError, check_name
from app.scaffold.fields import ResourceField
from app.scaffold.own import api_module, template

MAX_TEXT = 10_000
# Names that the generated functions use themselves.
_TAKEN_FIELDS = frozenset({"db", "new", "before", "request"})
_SINGULARS = (("ies", "y"), ("sses", "ss"), ("shes", "sh"), ("ches", "ch"), ("xes", "x"), ("s", ""))


def singular_of(table: str) -> str:
    """Return the singular of a plural noun, `note` of `notes`. Raises ScaffoldError if it does not end in an s."""
    for ending, replacement in _SINGULARS:
        if table.endswith(ending) and len(table) > len(ending):
            return table.removesuffix(ending) + replacement
    raise ScaffoldError(f"the resource {table!r}: give its singular with --singular, such as: new resource people")


def new_resource(root: Path, table: str, one: str, fields: list[ResourceField]) -> dict[Path, str]:
    """Return the files of a new resource. Raises ScaffoldError for a name that is reserved or taken."""
    _check_names(root, table, one, fields)
    migration = _next_migration(root, table)
    values = _Values(table, one, fields)
    return {
        root / f"migrations/{migration}.sql": template("migration.sql.txt", **values.migration(root)),
        root / f"migrations/{migration}.rollback.sql": template("rollback.sql.txt", table=table),
        root / f"sql/{table}.sql": template("resource.sql.txt", **values.sql()),
        root / f"app/repositories/{table}.py": template("repository.py.txt", **values.repository()),
        root / f"app/handlers/{table}.py": template("handler.py.txt", **values.handler()),
        root / f"tests/handlers/test_{table}.py": template("test_resource.py.txt", **values.test()),
    }


def registered(root: Path, table: str) -> tuple[Path, str]:
    """Return the module that has the service's API, with the new resource in it. Raises ScaffoldError if it cannot."""
    path = root / f"app/handlers/{api_module(root)}.py"
    text = path.read_text(encoding="utf-8")
    entry = f"*{table}.operations"
    opened = re.search(r"^OPERATIONS(?:: list\[Operation\])? = \[(\n)?", text, re.MULTILINE)
    if opened is None:
        raise ScaffoldError(f"{path.relative_to(root)} has no list `OPERATIONS = […]`: add one for the resources")
    if opened[1]:
        end = text.index("\n]", opened.end() - 1)
        text = f"{text[:end]}\n    {entry},{text[end:]}"
    else:
        inside = text[opened.end() : text.index("]", opened.end())].strip()
        text = text[: opened.end()] + ", ".join(filter(None, [inside, entry])) + text[text.index("]", opened.end()) :]
    return path, _with_import(text, table)


def _with_import(text: str, table: str) -> str:
    found = re.search(r"^from app\.handlers import (.+)$", text, re.MULTILINE)
    if found is None:
        first = text.index("from app.")
        return f"{text[:first]}from app.handlers import {table}\n{text[first:]}"
    names = sorted([*found[1].split(", "), table])
    return text[: found.start()] + f"from app.handlers import {', '.join(names)}" + text[found.end() :]


def _check_names(root: Path, table: str, one: str, fields: Iterable[ResourceField]) -> None:
    check_name(table, "the resource")
    check_name(one, "the singular")
    if one == table:
        raise ScaffoldError(f"the resource {table!r} needs a singular that differs: give it with --singular")
    taken = {path.stem for folder in ("app/handlers", "app/repositories", "sql") for path in (root / folder).iterdir()}
    created = re.compile(rf"\bcreate\s+(?:table|view)\s+(?:if\s+not\s+exists\s+)?{table}\b", re.IGNORECASE)
    migrated = any(created.search(path.read_text(encoding="utf-8")) for path in (root / "migrations").glob("*.sql"))
    if table in taken or migrated:
        raise ScaffoldError(f"the resource {table!r} exists already; choose another name")
    for field in fields:
        if field.name in _TAKEN_FIELDS | {f"{one}_id", one, table}:
            raise ScaffoldError(f"the field {field.name!r}: the functions of {table} use this name; choose another")


def _next_migration(root: Path, table: str) -> str:
    numbers = [int(found.group()) for id_ in migration_ids(root / "migrations") if (found := re.match(r"\d{4}", id_))]
    return f"{max(numbers, default=0) + 1:04}.create-{table.replace('_', '-')}"


class _Values:
    """What the templates need of a resource."""

    def __init__(self, table: str, one: str, fields: list[ResourceField]) -> None:
        self.fields = fields
        self.names = {
            "table": table,
            "one": one,
            "an": "an" if one[0] in "aeiou" else "a",
            "An": "An" if one[0] in "aeiou" else "A",
            "title": table.replace("_", " ").capitalize(),
            "Row": _class_name(one),
            "Rows": _class_name(table),
            "path": table.replace("_", "-"),
        }

    def migration(self, root: Path) -> dict[str, str]:
        table = self.names["table"]
        columns = [f"    {each.name} {each.type.sql}{'' if each.optional else ' not null'}," for each in self.fields]
        checks = [
            f",\n    constraint {table}_{each.name}_check check (char_length({each.name}) <= {MAX_TEXT})"
            for each in self.fields
            if each.is_text
        ]
        depends = migration_ids(root / "migrations")[-1:]
        return {**self.names, "columns": "\n".join(columns), "checks": "".join(checks), "depends": " ".join(depends)}

    def sql(self) -> dict[str, str]:
        return {
            **self.names,
            "names": self._joined(lambda each: each.name),
            "placeholders": self._joined(lambda each: f":{each.name}"),
            "assignments": self._joined(lambda each: f"{each.name} = :{each.name}"),
        }

    def repository(self) -> dict[str, str]:
        kinds = {each.type.python for each in self.fields}
        dates = ", ".join(sorted({"datetime"} | kinds & {"date"}))
        imports = ["from dataclasses import dataclass", f"from datetime import {dates}"]
        imports += ["from uuid import UUID"] if "UUID" in kinds else []
        return {
            **self.names,
            "imports": "\n".join(imports),
            "fields": "\n".join(f"    {each.name}: {_optional(each.type.python, each)}" for each in self.fields),
            "arguments": self._joined(lambda each: f"{each.name}: {_optional(each.type.python, each)}"),
        }

    def handler(self) -> dict[str, str]:
        one, has_text = self.names["one"], any(each.is_text for each in self.fields)
        bodies = {each.type.body for each in self.fields} - {"Text", "bool"} | {"RequestBody", "parse"}
        bodies |= {"REQUIRED"} if has_text else set[str]()
        text = f"Text = Annotated[str, Field(max_length={MAX_TEXT:_}), REQUIRED]\n\n\n" if has_text else ""
        pydantic = "from pydantic import Field\n" if has_text else ""
        return {
            **self.names,
            "typing": ("Annotated, " if has_text else "") + "Any, ClassVar",
            "imports": f"{pydantic}from app.http.bodies import {', '.join(sorted(bodies))}",
            "constants": text,
            "example": self._samples(lambda each: each.type.sample),
            "body": "\n".join(f"    {each.name}: {_in_body(each)}" for each in self.fields),
            "json_fields": "\n".join(
                f"    {each.json_name}: {_optional(each.type.json, each)}" for each in self.fields
            ),
            "json_values": "\n".join(f'        "{each.json_name}": {_shown(each, one)},' for each in self.fields),
            "given": self._joined(lambda each: f"{each.name}=new.{each.name}"),
        }

    def test(self) -> dict[str, str]:
        invalid = [f'("{each.json_name}", {each.type.invalid})' for each in self.fields]
        invalid += [f'("{each.json_name}", None)' for each in self.fields if not each.optional]
        return {
            **self.names,
            "sample": self._samples(lambda each: each.type.sample),
            "other": self._samples(lambda each: each.type.other),
            "invalid": f"[{', '.join(invalid)}]",
        }

    def _joined(self, write: Callable[[ResourceField], str]) -> str:
        return ", ".join(write(each) for each in self.fields)

    def _samples(self, value: Callable[[ResourceField], str]) -> str:
        return "{" + self._joined(lambda each: f'"{each.json_name}": {value(each)}') + "}"


def _class_name(name: str) -> str:
    return "".join(word.capitalize() for word in name.split("_"))


def _optional(annotation: str, field: ResourceField) -> str:
    return f"{annotation} | None" if field.optional else annotation


def _in_body(field: ResourceField) -> str:
    return f"{field.type.body} | None = None" if field.optional else field.type.body


def _shown(field: ResourceField, row: str) -> str:
    value = f"{row}.{field.name}"
    shown = field.type.shown.format(value)
    return f"None if {value} is None else {shown}" if field.optional and shown != value else shown
