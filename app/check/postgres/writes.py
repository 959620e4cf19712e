"""Find what a statement writes: which columns get which values, and which constraints that can violate."""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass

from app.check.postgres.proofs.casts import parameter_number, uncast
from app.check.postgres.proofs.tree import Node, walk
from app.check.postgres.schema import Schema, UniqueIndex

_UPDATE, _INSERT, _MERGE = 2, 3, 5
_SUBQUERY, _VALUES = 1, 5
_DO_UPDATE = 2


@dataclass(frozen=True, slots=True, eq=False)
class Write:
    """One insert or update, or one row of VALUES: the assigned columns and their expressions."""

    table: int
    inserts: bool
    assigned: Mapping[int, list[Node]]
    on_conflict: Node | None = None


def writes(tree: Node) -> Iterator[Write]:
    """Return every insert and update of the statement, at any depth."""
    for query in walk(tree):
        if query.tag != "QUERY":
            continue
        command = query.number("commandType")
        if command in {_INSERT, _UPDATE}:
            conflict = query.child("onConflict")
            yield _write(query, command, query, "targetList", conflict)
            if conflict is not None and conflict.number("action") == _DO_UPDATE:
                yield _write(query, _UPDATE, conflict, "onConflictSet")
        elif command == _MERGE:
            for action in query.children("mergeActionList"):
                if action.number("commandType") in {_INSERT, _UPDATE}:
                    yield _write(query, action.number("commandType"), action, "targetList")


def filled_columns(tree: Node, schema: Schema, number: int) -> list[str]:
    """Return the NOT NULL columns that get the value of `$number` as it is."""
    names = {
        column.name
        for write in _table_writes(tree, schema)
        for attribute, values in write.assigned.items()
        if (column := schema.column(write.table, attribute)) is not None and column.not_null
        if number in map(parameter_number, values)
    }
    return sorted(names)


def written_columns(tree: Node) -> set[tuple[int, int]]:
    """Return every column, by table and number, that the statement assigns."""
    return {(write.table, attribute) for write in writes(tree) for attribute in write.assigned}


def forgotten_columns(tree: Node, schema: Schema) -> list[str]:
    """Return the NOT NULL columns without a default that an insert omits, so that it always fails."""
    return sorted(
        column.name
        for write in _table_writes(tree, schema)
        if write.inserts
        for attribute, column in schema.tables.get(write.table, {}).items()
        if column.not_null and not column.fills_itself and attribute not in write.assigned
    )


def infers_arbiters(tree: Node) -> bool:
    """Return whether an insert says `on conflict (…)`, so that PostgreSQL looks for the index that is meant."""
    return any(write.on_conflict is not None and write.on_conflict.children("arbiterElems") for write in writes(tree))


def breakable_constraints(tree: Node, schema: Schema, arbiters: Collection[str] = ()) -> list[str]:
    """Return the unique constraints and indexes that the statement can violate. `arbiters` are those it infers."""
    names = {
        index.name
        for write in _table_writes(tree, schema)
        for index in schema.unique.get(write.table, ())
        if _can_violate(write, index, schema, arbiters)
    }
    return sorted(names)


def _table_writes(tree: Node, schema: Schema) -> Iterator[Write]:
    """Return what is written to tables, directly or through views."""
    return (_behind_view(write, schema) for write in writes(tree))


def _behind_view(write: Write, schema: Schema) -> Write:
    columns = schema.origins.get(write.table)
    if not columns:
        return write
    # A view can have a default of its own.
    own = {number for number, column in schema.tables.get(write.table, {}).items() if column.fills_itself}
    values = {number: [] for number in own} | dict(write.assigned) if write.inserts else dict(write.assigned)
    assigned = {columns[number][1]: nodes for number, nodes in values.items() if number in columns}
    table = next(iter(columns.values()))[0]
    return _behind_view(Write(table, write.inserts, assigned, write.on_conflict), schema)


def _can_violate(write: Write, index: UniqueIndex, schema: Schema, arbiters: Collection[str]) -> bool:
    columns = schema.tables.get(write.table, {})
    changed = write.assigned.keys() | {
        number for number, column in columns.items() if column.generated_from & write.assigned.keys()
    }
    if not write.inserts:
        return bool(index.columns & changed)
    if write.on_conflict is not None and _is_arbiter(write.on_conflict, index, arbiters):
        return False
    left_out = [columns[number] for number in index.columns - changed if number in columns]
    if any(column.is_unique_by_default for column in left_out):
        return False
    return index.nulls_collide or all(column.fills_itself for column in left_out)


def _is_arbiter(conflict: Node, index: UniqueIndex, arbiters: Collection[str]) -> bool:
    """Return whether a conflict on this index is taken care of by the `on conflict` of the insert."""
    if constraint := conflict.number("constraint"):
        return constraint == index.constraint
    return not conflict.children("arbiterElems") or index.name in arbiters


def _write(query: Node, command: int, holder: Node, field: str, conflict: Node | None = None) -> Write:
    table = query.children("rtable")[query.number("resultRelation") - 1].number("relid")
    assigned = {
        target.number("resno"): _sources(query, target.child("expr"))
        for target in holder.children(field)
        if not target.flag("resjunk")
    }
    return Write(table, command == _INSERT, assigned, conflict)


def _sources(query: Node, value: Node | None) -> list[Node]:
    """Return the sources of an assigned value: itself, or its place in each row of a subquery or VALUES."""
    if value is None:
        return []
    plain = uncast(value)
    if plain.tag != "VAR" or plain.number("varlevelsup"):
        return [plain]
    table, column = query.children("rtable")[plain.number("varno") - 1], plain.number("varattno")
    if table.number("rtekind") == _VALUES:
        return [row[column - 1] for row in table.rows("values_lists")]
    subquery = table.child("subquery") if table.number("rtekind") == _SUBQUERY else None
    if subquery is None or subquery.has("setOperations"):
        return [plain]
    targets = {target.number("resno"): target.child("expr") for target in subquery.children("targetList")}
    return _sources(subquery, targets[column])
