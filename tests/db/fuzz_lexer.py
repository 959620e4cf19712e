"""Differential fuzzing of the rewriting of `:name`, against a real server.

    python -m tests.db.fuzz_lexer postgresql://127.0.0.1/postgres --seed 7 --count 100000

Each case is written twice, as an SQL file has it and as PostgreSQL wants it, by code that knows nothing of the lexer.
"""

import argparse
import asyncio
import random
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import asyncpg

from app.db.sql.file import load_statements

GAPS = [
    (" ", " "), ("   ", "   "), ("\t", "\t"), ("\n", "\n"), ("\n\t ", "\n\t "), (" \n", "\n"), ("/* :a */", " "),
    ("/**/", " "), ("/* it's /* nested $$ :b */ \" */", " "), ("/*\n*/", " "), (" -- it's :c $$ \"\n", "\n"),
    ("-- /* :d\n  ", "\n  "), ("\n/* x */  ", "\n  "), (" /* ü */ -- 😀\n", "\n"), ("\r\n  ", "\n  "),
]  # fmt: skip
"""White space and comments between two tokens, and what is left of them."""

PIECES = [
    "a",
    "Z",
    "0",
    " ",
    ":a",
    ": b",
    "::c",
    ":=",
    "--",
    "/*",
    "*/",
    "$",
    "$1",
    "$$x",
    "ä",
    "😀",
    "%",
    "?",
    "[1:2]",
    ";",
]
NAMES = ["a", "b", "name", "user_id", "_x", "n2", "select", "A"]


@dataclass
class Case:
    """A statement as the file has it and as the server gets it, the arguments, and what it yields."""

    random: random.Random
    named: str = "select"
    numbered: str = "select"
    arguments: dict[str, tuple[str, object]] = field(default_factory=dict[str, tuple[str, object]])
    values: list[object] = field(default_factory=list[object])

    def both(self, text: str) -> None:
        """Add what is the same in both."""
        self.named += text
        self.numbered += text

    def gap(self) -> None:
        """Add white space or comments."""
        named, numbered = self.random.choice(GAPS)
        self.named += named
        self.numbered += numbered

    def placeholder(self, kind: str) -> Any:
        """Add a placeholder of the kind, text or int, and its cast; its value."""
        name = self.random.choice(NAMES) + ("_t" if kind == "text" else "_i")
        value: Any = self.text() if kind == "text" else self.random.randint(1, 3)
        value = self.arguments.setdefault(name, (kind, value))[1]
        self.named += f":{name}"
        self.numbered += f"${list(self.arguments).index(name) + 1}"
        self.both(f"::{kind}")
        return value

    def text(self) -> str:
        """Text full of what looks like SQL."""
        return "".join(self.random.choices(PIECES, k=self.random.randint(0, 5)))


def _plain(case: Case) -> object:
    text = case.text() + case.random.choice(["", "'", "\\"])
    prefix = case.random.choice(["", "n", "N"])
    case.both(f"{prefix}'{text.replace(chr(39), chr(39) * 2)}'::text")
    # n'…' is a char(n), and a cast of that drops the blanks at its end.
    return text.rstrip(" ") if prefix else text


def _escaped(case: Case) -> object:
    text = case.text() + case.random.choice(["", "'", "\\", "\\'"])
    quoted = text.replace("\\", "\\\\").replace("'", case.random.choice(["\\'", "''"]))
    case.both(f"{case.random.choice('eE')}'{quoted}'::text")
    return text


def _unicode(case: Case) -> object:
    text = case.text()
    case.both(f"{case.random.choice(['U&', 'u&'])}'{text}\\00e4'::text")
    return f"{text}ä"


def _dollar(case: Case) -> object:
    text = case.text() + case.random.choice(["", "'", '"'])
    tags = [tag for tag in ("$q$", "$_q9$", "$ä$") if (text + tag).index(tag) == len(text)]
    tag = case.random.choice(tags)
    case.both(f"{tag}{text}{tag}::text")
    return text


def _continued(case: Case) -> object:
    first, second = case.text(), case.text()
    case.both(f"'{first}'\n  '{second}'::text")
    return first + second


def _text(case: Case) -> object:
    return case.placeholder("text")


def _sum(case: Case) -> object:
    left = case.placeholder("int")
    case.gap()
    case.both(case.random.choice(["+", "+ "]))
    right = case.placeholder("int")
    return left + right


def _negative(case: Case) -> object:
    case.both("(-")
    value = case.placeholder("int")
    case.both(")")
    return -value


def _slice(case: Case) -> object:
    case.both("(array[10, 20, 30])[")
    if case.random.random() < 0.3:
        case.both(case.random.choice(["1:2", "1 : 2", ":2"]))
        case.both("]")
        return [10, 20]
    case.both("1:(")
    end = case.placeholder("int")
    case.both(")]")
    return [10, 20, 30][:end]


def _item(case: Case) -> object:
    case.both("(array[10, 20, 30])[(")
    index: int = case.placeholder("int")
    case.both(")]")
    return [10, 20, 30][index - 1]


def _array(case: Case) -> object:
    case.both("array[")
    values: list[object] = []
    for number in range(case.random.randint(1, 3)):
        case.both(", " if number else "")
        values.append(case.placeholder("int"))
    case.both("]")
    return values


def _number(case: Case) -> object:
    text = case.random.choice(["1", "23", "0x1f", "0b11", "1_000"])
    case.both(text)
    return int(text, 0)


def _json(case: Case) -> object:
    case.both("json_object('k': ")
    value = case.placeholder("text")
    case.both(") ->> 'k'")
    return value


def _quoted_column(case: Case) -> object:
    case.both('(select "x:y""$$" from (select ')
    value = case.placeholder("text")
    case.both(' as "x:y""$$") as t)')
    return value


EXPRESSIONS: list[Callable[[Case], object]] = [
    _plain, _escaped, _unicode, _dollar, _continued, _text, _sum, _negative, _slice, _item, _array, _number, _json,
    _quoted_column,
]  # fmt: skip


def generate(seed: int) -> Case:
    """The case of this seed."""
    case = Case(random.Random(seed))
    for number in range(case.random.randint(1, 5)):
        case.both("," if number else "")
        case.gap()
        case.values.append(case.random.choice(EXPRESSIONS)(case))
        case.gap()
        case.both(f"as c{number}")
    return case


async def check(connection: Any, case: Case, folder: Path) -> None:
    """AssertionError unless the file's statement is the expected one to us and to the server."""
    path = folder / "fuzz.sql"
    path.write_text(f"-- name: get_case\n{case.named};\n", encoding="utf-8", newline="")
    statement = load_statements(path)["get_case"]
    expected = f"{case.numbered} /* fuzz.get_case */"
    assert statement.text == expected, f"{statement.text!r} is not {expected!r}"
    assert statement.parameters == tuple(case.arguments)
    prepared = await connection.prepare(statement.text)
    assert len(prepared.get_parameters()) == len(case.arguments)
    row = await prepared.fetchrow(*(value for _, value in case.arguments.values()))
    assert list(row) == case.values, f"{list(row)!r} is not {case.values!r}"


async def fuzz(dsn: str, seed: int, count: int) -> None:
    """Check the cases of `count` seeds from `seed` on; an error has a note with the case."""
    connection = await asyncpg.connect(dsn, statement_cache_size=0)
    try:
        with tempfile.TemporaryDirectory() as folder:
            for each in range(seed, seed + count):
                case = generate(each)
                try:
                    await check(connection, case, Path(folder))
                except Exception as error:
                    error.add_note(f"--seed {each} --count 1\n{case.named}\n{case.arguments}")
                    raise
    finally:
        await connection.close()


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description="Differential fuzzing of the rewriting of :name.")
    parser.add_argument("dsn", help="a server of version 16 or newer; nothing in it is changed")
    parser.add_argument("--seed", type=int, default=random.randrange(2**32), help="the first case (default: random)")
    parser.add_argument("--count", type=int, default=10_000, help="how many (default: 10000)")
    options = parser.parse_args()
    print(f"--seed {options.seed} --count {options.count}", flush=True)
    asyncio.run(fuzz(options.dsn, options.seed, options.count))
    print("no difference")


if __name__ == "__main__":
    main()
