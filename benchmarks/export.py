"""How much memory the service takes to export articles, as CSV and as NDJSON: as much for a million as for none?

    python -m benchmarks.export --rows 1000000

The service is a process of its own on an embedded server; what counts is the peak of its resident memory while a client
reads, as Linux reports it. An export of one page of articles goes before, so that what is loaded once is not counted.
"""

import re
import secrets
import tempfile
from pathlib import Path
from time import perf_counter

import click
import httpx2
import psycopg

from app.embedded import EmbeddedPostgres
from app.migrations import apply_migrations
from tests.processes import service

BAR = 16  # MiB more than before, however many rows
WARM_UP = 1000
FORMATS = ("csv", "ndjson")
READER = {"username": "reader", "email": "reader@example.org", "password": "a reader's password"}
# Triggers and foreign keys have other tests; what is stored here obeys them.
ARTICLES = """
    set session_replication_role = replica;
    insert into articles (author_id, slug_words, title, description, body)
    select (select min(id) from users), 'how-to', 'Title ' || n, 'About "' || n || '"', repeat('words, and more; ', 20)
    from generate_series(1, {count}) as n;
    insert into article_tags (article_id, tag)
    select id, 'tag' || id % 100 from articles on conflict do nothing;
"""


def store_articles(dsn: str, count: int) -> None:
    """So many more articles, each with a tag."""
    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute(ARTICLES.format(count=count).encode())
        connection.execute("vacuum analyze")


def log_in(client: httpx2.Client) -> None:
    """Give the client an account."""
    answer = client.post("/api/users", json={"user": READER}).raise_for_status()
    client.headers["Authorization"] = f"Token {answer.json()['user']['token']}"


def export(client: httpx2.Client, format_: str) -> tuple[int, int]:
    """Lines and bytes of a whole export; an error where its end is missing."""
    lines = size = 0
    with client.stream("GET", "/api/articles/export", params={"format": format_}) as answer:
        answer.raise_for_status()
        for chunk in answer.iter_raw():
            lines += chunk.count(b"\n")
            size += len(chunk)
    return lines, size


def memory(pid: int, what: str) -> float:
    """A figure of the kernel's on the process, in MiB: VmRSS now, VmHWM at its highest."""
    status = Path(f"/proc/{pid}/status").read_text()
    return int(re.findall(rf"{what}:\s+(\d+) kB", status)[0]) / 1024


def forget_peak(pid: int) -> None:
    """From now on VmHWM is the highest since now."""
    Path(f"/proc/{pid}/clear_refs").write_text("5")


def measure(pid: int, client: httpx2.Client, format_: str, rows: int) -> float:
    """Print what one export took; how many MiB more than before it had at its peak."""
    forget_peak(pid)
    before, begin = memory(pid, "VmRSS"), perf_counter()
    lines, size = export(client, format_)
    seconds, peak = perf_counter() - begin, memory(pid, "VmHWM")
    expected = rows + (format_ == "csv")
    if lines != expected:
        raise click.ClickException(f"{format_}: {lines} lines, not {expected}")
    click.echo(
        f"{format_:7} {rows:9,} rows, {size / 2**20:6,.0f} MiB in {seconds:6.1f} s ({rows / seconds:7,.0f}/s)"
        f"  memory {before:5.1f} MiB before, {peak:5.1f} at its peak, {memory(pid, 'VmRSS'):5.1f} after"
    )
    return peak - before


@click.command(help=__doc__)
@click.option("--rows", type=click.IntRange(min=WARM_UP), default=1_000_000, show_default=True, help="Articles.")
def main(rows: int) -> None:
    """Print sizes, times and memory; exit 1 where the memory grew with the rows."""
    with tempfile.TemporaryDirectory(prefix="bindery-") as name:
        server = EmbeddedPostgres(Path(name) / "postgres", keep=False)
        try:
            dsn = server.start()
            apply_migrations(dsn)
            settings = {"DATABASE_URL": dsn, "SECRET_KEY": secrets.token_urlsafe(48), "DB_ALLOW_SUPERUSER": "true"}
            with service("serve", folder=Path(name), **settings) as (process, client):
                log_in(client)
                store_articles(dsn, WARM_UP)
                for format_ in FORMATS:
                    measure(process.pid, client, format_, WARM_UP)
                store_articles(dsn, rows - WARM_UP)
                grown = max(measure(process.pid, client, format_, rows) for format_ in FORMATS)
        finally:
            server.stop()
    click.echo(f"at most {grown:.1f} MiB more than before  (bar {BAR})")
    raise SystemExit(grown > BAR)


if __name__ == "__main__":
    main()
