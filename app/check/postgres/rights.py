"""Find the rights that a statement needs: those that PostgreSQL's executor checks, and those of what it calls."""

import re
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from typing import Literal

import asyncpg

from app.check.postgres.acl_catalog import AclCatalog, Function
from app.check.postgres.proofs.analysis import analysed_tree
from app.check.postgres.proofs.tree import Node, Value, walk
from app.check.postgres.server_types import ServerConnection

PRIVILEGES = {
    "INSERT": (1, "insertedCols"),
    "SELECT": (2, "selectedCols"),
    "UPDATE": (4, "updatedCols"),
    "DELETE": (8, ""),
}
"""The bits of AclMode, and the set of columns that each is checked on."""
# A set of columns starts at the number of the first system column.
_LOWEST = 7
_CALLS = ("funcid", "opfuncid", "aggfnoid", "winfnoid")
_NOT_CODE = re.compile(r"--[^\n]*|/\*.*?\*/|'(?:[^']|'')*'", re.DOTALL)
_WORD = re.compile(r"[^\W\d][\w$]*")
_TYPES = "select format_type(oid, null) as name from unnest($1::oid[]) with ordinality as t (oid, n) order by n"
ANY = 10_000
"""Stands for any one column: `count(*)` reads none, and needs a right on one."""


@dataclass(frozen=True, slots=True, order=True)
class Right:
    """A right on an object of the user."""

    kind: Literal["schema", "table", "sequence", "routine"]
    """What GRANT calls it; views are tables."""
    object: int
    privilege: str
    column: int = 0
    """The number of a column, or 0 for the object as a whole."""


@dataclass(frozen=True, slots=True)
class Needs:
    """The rights that statements need, and the functions of which nobody can say what they need."""

    rights: frozenset[Right]
    unclear: frozenset[tuple[int, int]]
    """A function that runs with its caller's rights, and a table that its text names."""


async def load_trees(connection: ServerConnection, texts: Iterable[str]) -> list[Node]:
    """Return the trees of these statements with `$1` …; a command that is no query, such as SHOW, has none.

    Raises what the server says about a text, such as that a table is not there.
    """
    trees: list[Node] = []
    for text in texts:
        statement = await connection.prepare(text)
        types = [parameter.oid for parameter in statement.get_parameters()]
        names = [row["name"] for row in await connection.fetch(_TYPES, types)]
        with suppress(asyncpg.FeatureNotSupportedError):
            trees.append(await analysed_tree(connection, text, names))
    return trees


def needed_rights(catalog: AclCatalog, trees: Iterable[Node]) -> Needs:
    """Return the rights that the statements with these trees need together."""
    return with_what_they_need(catalog, (right for tree in trees for right in _of_tree(catalog, tree)))


def with_what_they_need(catalog: AclCatalog, rights: Iterable[Right]) -> Needs:
    """Return these rights, and those that using them needs: on schemas, and on what views and writes call."""
    found, unclear = set[Right](), set[tuple[int, int]]()
    _follow(catalog, rights, found, unclear)
    return Needs(frozenset(_settled(catalog, found)), frozenset(unclear))


def _follow(catalog: AclCatalog, first: Iterable[Right], rights: set[Right], unclear: set[tuple[int, int]]) -> None:
    pending = list(first)
    while pending:
        right = pending.pop()
        if right in rights:
            continue
        rights.add(right)
        if right.kind == "routine":
            function = catalog.functions[right.object]
            rights.add(Right("schema", function.schema, "USAGE"))
            pending.extend(_of_function(catalog, right.object, function, unclear))
        else:
            rights.add(Right("schema", catalog.relations[right.object].schema, "USAGE"))
            pending.extend(_of_relation(catalog, right, unclear))


def _of_tree(catalog: AclCatalog, tree: Value) -> Iterator[Right]:
    for node in walk(tree):
        if _is_checked(node):
            yield from _of_permissions(catalog, node)
        for name in _CALLS:
            if node.has(name) and (called := node.number(name)) in catalog.functions:
                yield Right("routine", called, "EXECUTE")
        # The argument of nextval().
        if node.tag == "CONST" and (sequence := _sequence(catalog, node)):
            yield Right("sequence", sequence, "USAGE")


def _is_checked(node: Node) -> bool:
    """Return whether the executor checks rights for this node.

    Before PostgreSQL 16 that is a range table entry, and those that are no relation have the field, too.
    """
    return node.has("requiredPerms") and node.has("relid")


def _of_permissions(catalog: AclCatalog, node: Node) -> Iterator[Right]:
    relation, wanted = node.number("relid"), node.number("requiredPerms")
    if relation not in catalog.relations:
        return
    for privilege, (bit, columns) in PRIVILEGES.items():
        if not wanted & bit:
            continue
        numbers = [number - _LOWEST for number in node.numbers(columns)] if columns else [0]
        for number in numbers or [ANY]:
            # Among columns, 0 is the whole row.
            whole_row = number == 0 and bool(columns)
            for each in (n for n in catalog.relations[relation].columns if n > 0) if whole_row else [number]:
                yield Right("table", relation, privilege, each)


def _of_relation(catalog: AclCatalog, right: Right, unclear: set[tuple[int, int]]) -> Iterator[Right]:
    relation = catalog.relations[right.object]
    for node in walk(relation.tree):
        # The tables of a view are read with the rights of its owner; its functions are called by the one who asks.
        if _is_checked(node):
            if relation.as_invoker:
                yield from _of_permissions(catalog, node)
            elif right.privilege != "SELECT" and node.number("requiredPerms"):
                yield from _of_write(catalog, node.number("relid"), right.privilege, unclear)
        for name in _CALLS:
            if node.has(name) and (called := node.number(name)) in catalog.functions:
                yield Right("routine", called, "EXECUTE")
    # A row that is only locked runs nothing.
    is_lock = right.privilege == "UPDATE" and right.column == ANY
    if right.privilege in {"INSERT", "UPDATE", "DELETE"} and not is_lock:
        yield from _of_write(catalog, right.object, right.privilege, unclear)


def _of_write(catalog: AclCatalog, relation: int, privilege: str, unclear: set[tuple[int, int]]) -> Iterator[Right]:
    if privilege != "DELETE":
        for used in catalog.called_by_writes.get(relation, ()):
            if used in catalog.functions:
                yield Right("routine", used, "EXECUTE")
            elif used in catalog.relations:
                yield Right("sequence", used, "USAGE")
    for function in catalog.fired(relation, privilege):
        # Whoever fires a trigger needs no right on its function, but those of what it does.
        if function in catalog.functions:
            yield from _of_function(catalog, function, catalog.functions[function], unclear)


def _of_function(
    catalog: AclCatalog, number: int, function: Function, unclear: set[tuple[int, int]]
) -> Iterator[Right]:
    if function.as_owner:
        return
    if function.is_clear:
        yield from _of_tree(catalog, function.tree)
        return
    words = {word.lower() for word in _WORD.findall(_NOT_CODE.sub(" ", function.source))}
    for called, other in catalog.functions.items():
        if other.short_name in words and called != number:
            yield Right("routine", called, "EXECUTE")
    unclear.update((number, table) for table, each in catalog.relations.items() if each.name in words)


def _sequence(catalog: AclCatalog, node: Node) -> int:
    """Return the sequence that a constant of type regclass names; 0 for anything else."""
    regclass = 2205
    if node.number("consttype") != regclass or not isinstance(value := node.fields.get("constvalue"), list):
        return 0
    number = int.from_bytes(bytes(int(str(byte)) % 256 for byte in value[:4]), "little")
    return number if number in catalog.relations and catalog.relations[number].kind == "S" else 0


def _settled(catalog: AclCatalog, rights: set[Right]) -> Iterator[Right]:
    """Return the rights with a column in place of any: none where there is another, else the first."""
    held = {(right.object, right.privilege) for right in rights if right.column != ANY}
    for right in rights:
        if right.column != ANY:
            yield right
        elif (right.object, right.privilege) not in held:
            first = min(number for number in catalog.relations[right.object].columns if number > 0)
            yield Right(right.kind, right.object, right.privilege, first)
