"""Whether a service keeps the rules of the tests: types, headers, bounds, escaping, writes, and one statement a row."""

import json
import time
from collections.abc import Callable
from http.client import HTTPConnection
from typing import Any

from benchmarks.techempower.data import FORTUNES, ROWS

COUNTS = {"": 1, "queries=": 1, "queries=0": 1, "queries=-3": 1, "queries=x": 1, "queries=2.5": 1, "queries=20": 20,
          "queries=500": 500, "queries=501": 500, "queries=99999999999": 1}  # fmt: skip


class Broken(Exception):
    """A rule is broken. The message says which, and how."""


def verify(port: int, numbers: Callable[[], dict[int, int]]) -> None:
    """Raise Broken unless the service on this port keeps the rules.

    `numbers` reads the rows from the database.
    """
    expect(json.loads(ask(port, "/json", "application/json")) == {"message": "Hello, World!"}, "/json: another object")
    expect(ask(port, "/plaintext", "text/plain") == b"Hello, World!", "/plaintext: another text")
    check_world(json.loads(ask(port, "/db", "application/json")), "/db")
    for query, count in COUNTS.items():
        for path in ("/queries", "/updates"):
            check_worlds(json.loads(ask(port, f"{path}?{query}", "application/json")), count, f"{path}?{query}")
    check_writes(port, numbers)
    check_fortunes(ask(port, "/fortunes", "text/html").decode())


def ask(port: int, path: str, media_type: str) -> bytes:
    """Return the body of an answer that has the right status and headers."""
    connection = HTTPConnection("127.0.0.1", port, timeout=10)
    try:
        connection.request("GET", path)
        answer = connection.getresponse()
        body = answer.read()
    finally:
        connection.close()
    expect(answer.status == 200, f"{path}: status {answer.status}")
    kind = answer.headers["content-type"]
    allowed = {media_type, f"{media_type}; charset=utf-8"}
    expect(kind in allowed, f"{path}: Content-Type is {kind}")
    for name in ("server", "date", "content-length"):
        expect(name in answer.headers, f"{path}: no header {name}")
    return body


def check_world(row: Any, where: str) -> None:
    """Raise Broken unless this is a row of the table."""
    expect(is_a(dict, row) and set(row) == {"id", "randomNumber"}, f"{where}: {row!r} has other keys")
    for name, value in row.items():
        expect(is_a(int, value) and 1 <= value <= ROWS, f"{where}: {name} is {value!r}")


def check_worlds(rows: Any, count: int, where: str) -> None:
    """Raise Broken unless these are so many different rows."""
    expect(is_a(list, rows) and len(rows) == count, f"{where}: not a list of {count}")
    for row in rows:
        check_world(row, where)
    expect(len({row["id"] for row in rows}) == count, f"{where}: a row is there twice")


def check_reads(port: int, reads: Callable[[], int]) -> None:
    """Raise Broken unless each of 20 rows is looked up by itself. Before it nothing else may have been looked up.

    `reads` counts the look-ups by key, which the sessions of the server report within ten seconds.
    """
    before = reads()
    ask(port, "/queries?queries=20", "application/json")
    ends = time.monotonic() + 15
    while reads() - before < 20 and time.monotonic() < ends:
        time.sleep(0.1)
    expect(reads() - before == 20, f"/queries?queries=20: {reads() - before} look-ups")


def check_writes(port: int, numbers: Callable[[], dict[int, int]]) -> None:
    """Raise Broken unless the numbers in an answer are stored."""
    rows = json.loads(ask(port, "/updates?queries=100", "application/json"))
    stored = numbers()
    for row in rows:
        expect(stored[row["id"]] == row["randomNumber"], f"/updates: {row} was not stored")


def check_fortunes(page: str) -> None:
    """Raise Broken unless the page has all fortunes, sorted and escaped."""
    expect(page.startswith("<!DOCTYPE html><html><head><title>Fortunes</title></head>"), "/fortunes: another head")
    texts = sorted([*enumerate(FORTUNES, 1), (0, "Additional fortune added at request time.")], key=lambda row: row[1])
    expect("<script>" not in page, "/fortunes: a text is not escaped")
    for (key, text), part in zip(texts, page.split("<tr><td>")[1:], strict=True):
        expect(part.startswith(f"{key}</td><td>"), f"/fortunes: {key} is not in its place")
        shown = part.partition("</td><td>")[2].partition("</td>")[0]
        plain = shown.replace("&lt;", "<").replace("&gt;", ">").replace("&quot;", '"').replace("&#x27;", "'")
        expect(plain.replace("&amp;", "&") == text, f"/fortunes: {shown} is not {text}")


def expect(kept: bool, otherwise: str) -> None:
    """Raise Broken with this message unless the rule is kept."""
    if not kept:
        raise Broken(otherwise)


def is_a(kind: type, value: object) -> bool:
    """Return whether JSON had a value of this kind; true and false are no numbers."""
    return type(value) is kind
