"""The monitor in a terminal: the state of a service as rich tables."""

import re
from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from app.monitor.formats import show_ms, show_seconds

State = Mapping[str, Any]
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")


def render(state: State, sort: str, height: int) -> RenderableType:
    """Return what /monitor/state says, within this many lines."""
    tiles = Text("  ".join(f"{tile['name']}: {tile['value']} {tile['of']}".rstrip() for tile in state["tiles"]))
    problems = [_text(f"{each['name']}: {each['text']}", "bold red") for each in state["problems"]]
    left = max(6, height - 12 - len(problems))
    return Group(
        *(problems or [Text("Nothing is wrong.", "green")]),
        tiles,
        _statements(state["statements"], sort, left // 2),
        _sessions(state["sessions"], left // 4),
        _routes(state["routes"], left // 4),
    )


def _statements(rows: Sequence[State], sort: str, most: int) -> Table:
    table = _table("Statements", "Calls", "Share", "p50", "p95", "p99", "Rows", "Errors")
    for row in sorted(rows, key=lambda row: row[sort], reverse=sort != "name")[:most]:
        _add(
            table,
            row["name"], f"{row['calls']:,}", f"{row['share']:.1%}", show_ms(row["p50"]), show_ms(row["p95"]),
            show_ms(row["p99"]), f"{row['rows']:,}", f"{row['errors']:,}",
        )  # fmt: skip
    return table


def _sessions(rows: Sequence[State], most: int) -> Table:
    table = _table("Sessions", "State", "For", "Waits for", "Statement", "Holder")
    for row in rows[:most]:
        session, holder = row["session"], row["holder"]
        _add(
            table,
            f"{'  ' * row['depth']}{session['pid']}", session["state"] or "hidden",
            show_seconds(session["state_seconds"]),
            ", ".join(str(pid) for pid in session["blocked_by"]), row["statement"],
            (holder["place"] or holder["running"]) if holder else session["application_name"] or "",
        )  # fmt: skip
    return table


def _routes(rows: Sequence[State], most: int) -> Table:
    table = _table("Routes", "Requests", "Failures", "p50", "p95", "p99")
    for row in rows[:most]:
        _add(
            table,
            f"{row['method']} {row['path'] or '(no route)'}", f"{row['requests']:,}", f"{row['failures']:,}",
            show_ms(row["p50"]), show_ms(row["p95"]), show_ms(row["p99"]),
        )  # fmt: skip
    return table


def _add(table: Table, *cells: str) -> None:
    """Add a row as it is: Text reads no markup."""
    table.add_row(*(_text(cell) for cell in cells))


def _text(text: str, style: str = "") -> Text:
    """Return a text without control characters, which a session's SQL may hold."""
    return Text(_CONTROL.sub("", text), style)


def _table(first: str, *others: str) -> Table:
    table = Table(box=None, pad_edge=False, expand=True)
    table.add_column(first, no_wrap=True, header_style="bold")
    for name in others:
        is_text = name in {"State", "Statement", "Holder", "Waits for"}
        table.add_column(name, justify="left" if is_text else "right", no_wrap=True, header_style="bold")
    return table
