"""The table and columns that `copy table (columns) from stdin` names."""

from typing import NamedTuple

from app.db.errors import BindingError
from app.db.sql.lexer import Kind, Token, tokenize
from app.db.sql.statement import Statement


class CopyTarget(NamedTuple):
    """The table that rows are copied into, and its columns in the order of the statement."""

    schema: str | None
    table: str
    columns: tuple[str, ...]

    @property
    def quoted_table(self) -> str:
        """The table as SQL names it."""
        return ".".join(_quoted(name) for name in (self.schema, self.table) if name is not None)

    @property
    def quoted_columns(self) -> str:
        """The columns as SQL lists them."""
        return ", ".join(map(_quoted, self.columns))

    def description(self) -> str:
        """A statement whose result has the types of the columns."""
        return f"select {self.quoted_columns} from {self.quoted_table} where false"  # noqa: S608 - quoted names of ours


def copy_target(statement: Statement) -> CopyTarget:
    """What `copy table (columns) from stdin` names; BindingError with the place for any other COPY."""
    tokens = [token for token in tokenize(statement.text) if not token.is_gap]
    brackets = [index for index, token in enumerate(tokens) if token.text in {"(", ")"}]
    words = [token.text.lower() for token in tokens]
    if len(brackets) != 2 or words[brackets[1] + 1 :] != ["from", "stdin"]:
        message = "a statement that copies is `copy table (column, …) from stdin`, without options"
        raise BindingError(statement.locate(0).report(message))
    names = [_identifier(token) for token in tokens[1 : brackets[0]] if token.text != "."]
    columns = [_identifier(token) for token in tokens[brackets[0] + 1 : brackets[1]] if token.text != ","]
    return CopyTarget(names[0] if len(names) > 1 else None, names[-1], tuple(columns))


def _identifier(token: Token) -> str:
    if token.kind is Kind.QUOTED_IDENTIFIER and token.text.startswith('"'):
        return token.text[1:-1].replace('""', '"')
    return token.text.lower()


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'
