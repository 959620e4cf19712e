"""Prove of a statement's columns that they are never null, by PostgreSQL's own analysis of its text.

A proof holds for all data and arguments. A kind of expression, a function or a clause that is not known to keep nulls
out lets them in: so a column without a proof may be null or not.
"""

from collections.abc import Sequence

import asyncpg

from app.check.postgres.proofs.analysis import analysed_tree
from app.check.postgres.proofs.catalog import Catalog, load_catalog
from app.check.postgres.proofs.expressions import never_null
from app.check.postgres.proofs.kinds import SetOperation, Sublink, TableKind
from app.check.postgres.proofs.result_types import result_type
from app.check.postgres.proofs.scope import Scope, is_grouped_by_none
from app.check.postgres.proofs.tree import Node, TreeError


async def never_null_columns(
    connection: asyncpg.Connection, text: str, parameter_types: Sequence[str], given: frozenset[int] = frozenset()
) -> list[bool]:
    """For each column of a statement's result whether it is proved never to be null; empty when there are none.

    `text` has `$1` …, whose types are named as format_type() names them; `given` are the numbers of those that are
    never null. Raises what the server says about the text.
    """
    try:
        tree = await analysed_tree(connection, text, parameter_types)
    except asyncpg.FeatureNotSupportedError:
        # No query but a command with a result, such as SHOW or EXPLAIN: it has no tree to prove anything by.
        return [False for _ in (await connection.prepare(text)).get_attributes()]
    return prove_columns(tree, await load_catalog(connection, tree, given))


def prove_columns(tree: Node, catalog: Catalog) -> list[bool]:
    """never_null_columns() of a statement's tree, given the facts about what it mentions."""
    scope = Scope(tree, None, catalog)
    prover = Prover(catalog)
    return [prover.column(scope, entry.number("resno")) for entry in scope.outputs()]


class Prover:
    """Proves columns of one statement, given the facts about what it mentions."""

    def __init__(self, catalog: Catalog) -> None:
        self._catalog = catalog
        # Of recursive CTEs: the columns that are taken to be never null while that is being proved.
        self._assumed: dict[Node, frozenset[int]] = {}

    def column(self, scope: Scope, column: int) -> bool:
        """Return whether a result column of a query, from 1, is never null."""
        operation = scope.query.child("setOperations")
        if operation is not None:
            return self._set_operation(operation, scope, column)
        entry = scope.output(column)
        expression = entry.child("expr") if entry else None
        if entry is None or expression is None:
            return False
        if scope.has_grouping_sets and entry.number("ressortgroupref"):
            return False
        return self.expression(expression, scope)

    def _set_operation(self, operation: Node, scope: Scope, column: int) -> bool:
        left, right = (operation.child(side) for side in ("larg", "rarg"))
        if left is None or right is None:
            raise TreeError("a set operation has two sides")
        wanted = operation.numbers("colTypes")[column - 1]
        kind = operation.number("op")
        proofs = (self._member(side, scope, column, wanted) for side in (left, right))
        if kind == SetOperation.UNION:
            return all(proofs)
        if kind == SetOperation.INTERSECT:
            return any(proofs)
        return kind == SetOperation.EXCEPT and next(proofs)

    def _member(self, member: Node, scope: Scope, column: int, wanted: int) -> bool:
        """Return whether a column of one side is never null once it has been converted to the type of the whole."""
        if member.tag != "RANGETBLREF":
            given, proved = member.numbers("colTypes")[column - 1], self._set_operation(member, scope, column)
        else:
            query = scope.table(member.number("rtindex")).child("subquery")
            if query is None:
                return False
            inner = Scope(query, scope, self._catalog)
            entry = inner.output(column)
            given = result_type(entry.child("expr")) if entry else None
            proved = self.column(inner, column)
        return proved and (given == wanted or (given, wanted) in self._catalog.casts)

    def expression(self, expression: Node, scope: Scope) -> bool:
        """Return whether an expression in this query is never null."""
        if expression.tag == "VAR":
            return self.variable(expression, scope.enclosing(expression.number("varlevelsup")))
        # A grouping set nulls the whole of an expression that another set groups by.
        if scope.has_grouping_sets and not is_grouped_by_none(expression):
            return False
        if expression.tag == "SUBLINK":
            return self._sublink(expression, scope)
        return never_null(expression, scope, lambda part: self.expression(part, scope))

    def _sublink(self, sublink: Node, scope: Scope) -> bool:
        kind, query = sublink.number("subLinkType"), sublink.child("subselect")
        if kind in {Sublink.EXISTS, Sublink.ARRAY}:
            return True
        if query is None or kind != Sublink.VALUE:
            return False
        inner = Scope(query, scope, self._catalog)
        return inner.is_one_row() and self.column(inner, 1)

    def variable(self, variable: Node, scope: Scope) -> bool:
        """Return whether a VAR of this query is never null."""
        column = variable.number("varattno")
        # Whole rows and system columns are not looked into.
        if column <= 0 or scope.has_grouping_sets or scope.may_be_nulled(variable):
            return False
        if scope.is_proved(variable):
            return True
        return self.table_column(scope, variable.number("varno"), column)

    def table_column(self, scope: Scope, index: int, column: int) -> bool:
        """Return whether a column of what a query joins, both from 1, is never null in the rows that it has itself."""
        table = scope.table(index)
        match table.number("rtekind"):
            case TableKind.RELATION:
                proved = self.relation_column(scope, index, column)
            case TableKind.SUBQUERY:
                query = table.child("subquery")
                proved = query is not None and self.column(Scope(query, scope, self._catalog), column)
            case TableKind.JOIN:
                proved = self.expression(table.children("joinaliasvars")[column - 1], scope)
            case TableKind.FUNCTION:
                proved = self.function_column(table, column)
            case TableKind.VALUES:
                proved = all(self.expression(row[column - 1], scope) for row in table.rows("values_lists"))
            case TableKind.CTE:
                proved = self._cte_column(scope, table, column)
            case TableKind.GROUP:
                proved = self.expression(table.children("groupexprs")[column - 1], scope)
            case _:
                proved = False
        return proved

    def relation_column(self, scope: Scope, index: int, column: int) -> bool:
        """Return whether a column of a table or view that a query joins is never null in its rows."""
        relation = scope.table(index).number("relid")
        if index == scope.target and (relation in self._catalog.ruled or relation in self._catalog.views):
            return False
        if view := self._catalog.views.get(relation):
            return self.column(Scope(view, None, self._catalog), column)
        return (relation, column) in self._catalog.not_null

    def function_column(self, table: Node, column: int) -> bool:
        """Return whether a column of a function in FROM is never null in its rows."""
        functions = table.children("functions")
        if table.flag("funcordinality") and column > sum(call.number("funccolcount") for call in functions):
            return True
        # Of several functions in ROWS FROM the shorter ones go on with nulls.
        if len(functions) != 1 or column != 1:
            return False
        call = functions[0].child("funcexpr")
        return (
            call is not None
            and call.tag == "FUNCEXPR"
            and call.number("funcid") in self._catalog.functions.never_null_sets
        )

    def _cte_column(self, scope: Scope, table: Node, column: int) -> bool:
        owner = scope.enclosing(table.number("ctelevelsup"))
        name = table.text("ctename")
        cte = next((cte for cte in owner.query.children("cteList") if cte.text("ctename") == name), None)
        query = cte.child("ctequery") if cte else None
        if cte is None or query is None:
            return False
        if not cte.flag("cterecursive"):
            return self.column(Scope(query, owner, self._catalog), column)
        if cte not in self._assumed:
            return column in self._recursive_columns(cte, Scope(query, owner, self._catalog))
        return column in self._assumed[cte]

    def _recursive_columns(self, cte: Node, scope: Scope) -> frozenset[int]:
        """The columns that are never null in the first rows, nor in rows that come of rows where they are not."""
        columns = frozenset(entry.number("resno") for entry in scope.outputs())
        while True:
            self._assumed[cte] = columns
            proved = frozenset(column for column in columns if self.column(scope, column))
            if proved == columns:
                del self._assumed[cte]
                return proved
            columns = proved
