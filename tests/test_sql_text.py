"""No SQL text depends on input: each call that takes SQL is given a constant, or stands here with its reason."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from tests.processes import ROOT

TAKES_SQL = {"execute", "executemany", "fetch", "fetchrow", "fetchval", "prepare", "cursor"}
# The checker runs in no service, and reads files of the project only.
BUILD_TIME = "app/check/"
# The layer hands on what its callers gave as this parameter; the callers are looked at here.
LAYER, HANDED_ON = "app/db/", {"sql", "query", "command"}
# The same names of what was prepared already: it takes arguments, and no text.
PREPARED = {"prepared", "self._cursor", "self.statement"}
REASONS = {
    ("app/db/session/copy.py", "target.description()"): "quoted names of a statement in sql/",
    ("app/db/session/pgbouncer.py", "settings + sql"): "settings of the program's start before what callers gave",
    ("app/db/session/preparing.py", "query.text"): "a statement of sql/",
    ("app/db/session/typed.py", "explain"): "EXPLAIN before a statement of sql/",
    ("app/migration_backend.py", "query"): "what yoyo gives: the text of migrations, and its own",
    (
        "app/migrations.py",
        "sql.SQL('select migration_id, applied_at_utc from {} order by 2, 1').format(table)",
    ): "a quoted constant name",
    ("app/monitor/extension.py", "_FIGURES.format(schema)"): "the schema's name, quoted by the server that gave it",
    ("app/plans.py", "f'explain execute bindery_explain({nulls})'"): "one null for each parameter",
    ("app/plans.py", "f'prepare bindery_explain as {text}'"): "a statement of sql/",
    ("app/roles/setup.py", "f'set local role {quoted(names.owner)}'"): "a quoted name, for those who set up the roles",
    ("app/roles/setup.py", "statement"): "made of quoted names and quoted literals, for those who set up the roles",
    ("app/plans.py", "f'{options} {query.text}'"): "a statement of sql/; the options are one of two constants",
}


def modules() -> Iterator[tuple[str, ast.Module]]:
    for path in sorted((ROOT / "app").rglob("*.py")):
        if "templates" not in path.parts:
            yield str(path.relative_to(ROOT)), ast.parse(path.read_text())


def constants(module: ast.Module) -> set[str]:
    """The names that the module gives to constants, and those in capitals that it imports from another."""
    names: set[str] = set()
    for node in module.body:
        match node:
            case ast.Assign(targets=[ast.Name(name)], value=value) if is_constant(value, names):
                names.add(name)
            case ast.AnnAssign(target=ast.Name(name), value=ast.expr() as value) if is_constant(value, names):
                names.add(name)
            case ast.ImportFrom(module=str(source)) if source.startswith("app."):
                names |= {alias.name for alias in node.names if alias.name.isupper()}
            case _:
                pass
    return names


def is_constant(value: ast.expr, names: set[str]) -> bool:
    match value:
        case ast.Constant():
            return True
        case ast.Name(name):
            return name in names
        case ast.BinOp(left, ast.Add(), right):
            return is_constant(left, names) and is_constant(right, names)
        case ast.JoinedStr(parts):
            return all(is_constant(part, names) for part in parts)
        case ast.FormattedValue(value=inner):
            return is_constant(inner, names)
        case _:
            return False


def texts(module: ast.Module) -> Iterator[ast.expr]:
    """What the module gives to calls that take SQL."""
    for node in ast.walk(module):
        match node:
            case ast.Call(func=ast.Attribute(value=owner, attr=method), args=[text, *_]) if (
                method in TAKES_SQL and ast.unparse(owner) not in PREPARED
            ):
                yield text
            case _:
                pass


def variable_texts() -> set[tuple[str, str]]:
    return {
        (path, ast.unparse(text))
        for path, module in modules()
        for text in texts(module)
        if not path.startswith(BUILD_TIME)
        and not is_constant(text, constants(module))
        and not (path.startswith(LAYER) and ast.unparse(text) in HANDED_ON)
    }


def test_sql_is_constant_or_has_a_reason_here() -> None:
    assert variable_texts() == REASONS.keys()


def test_a_text_that_is_made_of_input_is_found() -> None:
    module = ast.parse(
        'GOOD = "select 1"\n'
        'ALSO = GOOD + " where true"\n'
        "async def read(db, name):\n"
        "    await db.fetch(GOOD), await db.fetch(ALSO, name), await db.fetch(f'{GOOD} limit 1')\n"
        "    await db.execute(name), await db.fetchval(f'select {name}'), await db.fetchrow(GOOD + name)\n"
        "    await db.prepare('select {}'.format(name)), await db.fetch('select %s' % name)\n"
    )
    names = constants(module)

    assert [ast.unparse(text) for text in texts(module) if not is_constant(text, names)] == [
        "name", "f'select {name}'", "GOOD + name", "'select {}'.format(name)", "'select %s' % name",
    ]  # fmt: skip


def test_statements_come_from_files_in_sql() -> None:
    files = {
        ast.unparse(call.args[0])
        for path, module in modules()
        if not path.startswith((LAYER, BUILD_TIME))
        for call in ast.walk(module)
        if isinstance(call, ast.Call) and ast.unparse(call.func) == "Queries"
    }

    assert files == {f"SQL / '{path.name}'" for path in (ROOT / "sql").glob("*.sql")}
