import asyncio
import gc
import ssl
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Generator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import asyncpg
import psycopg
import pytest

from app.db import Database, DatabaseUnavailable
from app.settings import load_settings
from tests.debian.conftest import UNCERTIFIED_HOST, DebianPostgres, run
from tests.resolver import LOOPS, resolving

pytestmark = pytest.mark.debian

ENCRYPTED = "select ssl from pg_stat_ssl where pid = pg_backend_pid()"

Configure = Callable[..., str]
Connect = Callable[[str], Awaitable[bool]]


@pytest.fixture
def configure(debian_postgres: DebianPostgres, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Configure:
    """What the settings make of a TLS mode and a root certificate: the address that both drivers get."""

    def configured(mode: str, ca_file: Path | None = None, **changes: Any) -> str:
        monkeypatch.chdir(tmp_path)
        monkeypatch.setenv("DATABASE_URL", replace(debian_postgres, **changes).dsn)
        monkeypatch.setenv("DB_TLS_MODE", mode)
        monkeypatch.setenv("DB_TLS_ROOT_CERT", str(ca_file or ""))
        return load_settings(needs_secret_key=False).database_dsn

    return configured


async def by_asyncpg(dsn: str) -> bool:
    """Whether a connection to `dsn` is encrypted, by the word of the server."""
    try:
        connection = await asyncpg.connect(dsn)
    except Exception:
        # The driver does not wait until the connection of a failed attempt is closed, which TLS takes two turns for:
        # a loop that ends before would complain.
        await asyncio.sleep(0.1)
        raise
    try:
        return await connection.fetchval(ENCRYPTED)
    finally:
        await connection.close()


async def by_psycopg(dsn: str) -> bool:
    """Whether a connection to `dsn` is encrypted, by the word of the server."""
    with psycopg.connect(dsn) as connection:
        row = connection.execute(ENCRYPTED).fetchone()
    assert row is not None
    return row[0]


both_drivers = pytest.mark.parametrize("connect", [by_asyncpg, by_psycopg])
refused = pytest.mark.parametrize(
    ("connect", "error"), [(by_asyncpg, ssl.SSLCertVerificationError), (by_psycopg, psycopg.OperationalError)]
)


@both_drivers
async def test_a_verified_connection_is_encrypted(
    configure: Configure, debian_postgres: DebianPostgres, connect: Connect
) -> None:
    assert await connect(configure("verify-full", debian_postgres.ca_file)) is True


@both_drivers
async def test_a_connection_is_not_encrypted_when_that_is_disabled(configure: Configure, connect: Connect) -> None:
    assert await connect(configure("disable")) is False


@refused
async def test_a_server_whose_authority_is_another_is_refused(
    configure: Configure, debian_postgres: DebianPostgres, connect: Connect, error: type[Exception]
) -> None:
    with pytest.raises(error, match="certificate verify failed"):
        await connect(configure("verify-full", debian_postgres.stranger_ca_file))


@refused
async def test_a_server_whose_certificate_names_another_host_is_refused(
    configure: Configure, debian_postgres: DebianPostgres, connect: Connect, error: type[Exception]
) -> None:
    assert await connect(configure("verify-ca", debian_postgres.ca_file, host=UNCERTIFIED_HOST)) is True
    with pytest.raises(error, match="certificate"):
        await connect(configure("verify-full", debian_postgres.ca_file, host=UNCERTIFIED_HOST))


@pytest.mark.parametrize("name", ["localhost", "db.example"])
async def test_each_address_of_a_name_has_to_have_a_certificate_for_the_name(
    configure: Configure, debian_postgres: DebianPostgres, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    # Nobody listens at the first.
    names = {name: ["127.0.0.3", UNCERTIFIED_HOST]}
    for loop in LOOPS:
        monkeypatch.setattr(loop, "getaddrinfo", resolving(names.get, loop.getaddrinfo))
    db = Database(configure("verify-full", debian_postgres.ca_file, host=name), min_size=1)
    if name == "localhost":
        async with db:
            assert await db.fetchval(ENCRYPTED) is True
    else:
        with pytest.raises(DatabaseUnavailable, match=r"not valid for 'db\.example'"):
            await db.connect()


@pytest.mark.parametrize("name", ["localhost", "db.example"])
async def test_so_it_has_when_tls_begins_at_once(
    configure: Configure, debian_postgres: DebianPostgres, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    for loop in LOOPS:
        monkeypatch.setattr(loop, "getaddrinfo", resolving({name: [UNCERTIFIED_HOST]}.get, loop.getaddrinfo))
    async with tls_at_once(debian_postgres) as port:
        address = configure("verify-full", debian_postgres.ca_file, host=name, port=port)
        db = Database(f"{address}&sslnegotiation=direct", min_size=1)
        if name == "localhost":
            async with db:
                assert await db.fetchval("select 1") == 1
        else:
            with pytest.raises(DatabaseUnavailable, match=r"not valid for 'db\.example'"):
                await db.connect()


@asynccontextmanager
async def tls_at_once(server: DebianPostgres) -> AsyncGenerator[int]:
    """The port of a way to the server that begins with TLS, as PostgreSQL's own does from version 17 on."""
    folder = server.ca_file.parent
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(folder / "server.crt", folder / "server.key")

    async def relay(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        answers, requests = await asyncio.open_connection(server.host, server.port)
        await asyncio.gather(copy(reader, requests), copy(answers, writer), return_exceptions=True)

    async with await asyncio.start_server(relay, UNCERTIFIED_HOST, 0, ssl=context) as listening:
        yield listening.sockets[0].getsockname()[1]


async def copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Pass on what comes, until nothing does."""
    while data := await reader.read(65_536):
        writer.write(data)
    writer.close()


@both_drivers
async def test_a_wrong_password_is_refused(configure: Configure, connect: Connect) -> None:
    errors = (asyncpg.InvalidPasswordError, psycopg.OperationalError)
    with pytest.raises(errors, match="password authentication failed"):
        await connect(configure("require", password="wrong"))


async def test_statement_statistics_can_be_read(debian_postgres: DebianPostgres) -> None:
    connection = await asyncpg.connect(debian_postgres.dsn)
    try:
        async with connection.transaction():
            await connection.execute("create extension if not exists pg_stat_statements")
            assert await connection.fetchval("select count(*) from pg_stat_statements") > 0
    finally:
        await connection.close()


def test_a_pool_that_closes_while_it_opens_connections_leaves_no_socket_open(debian_postgres: DebianPostgres) -> None:
    async def close_after(seconds: float) -> None:
        async with Database(debian_postgres.dsn, min_size=1, max_size=6) as db, db.acquire():
            waiting = [asyncio.create_task(db.fetchval("select 1")) for _ in range(5)]
            await asyncio.sleep(seconds)
            for task in waiting:
                task.cancel()
            await asyncio.wait(waiting)

    # Somewhere in these 30 milliseconds is every step of TLS and of the server's greeting.
    for half_milliseconds in range(60):
        asyncio.run(close_after(half_milliseconds / 2000))
    # A socket that is left open is a warning then, and every warning an error.
    gc.collect()


@contextmanager
def another_certificate(server: DebianPostgres, days: int) -> Generator[None]:
    """The server has a new key and a certificate that is valid for so many days from now, during the block."""
    files = ("server.key", "server.crt")
    before = [(server.socket_folder / name).read_bytes() for name in files]
    request = ["openssl", "req", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=localhost"]
    names = ["-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1"]
    sign = ["openssl", "x509", "-req", "-in", "new.csr", "-CA", "ca.crt", "-CAkey", "ca.key", "-CAcreateserial"]
    try:
        run(server.socket_folder, *request, *names, "-keyout", "server.key", "-out", "new.csr")
        run(server.socket_folder, *sign, "-copy_extensions", "copy", "-days", str(days), "-out", "server.crt")
        reload_configuration(server)
        yield
    finally:
        for name, content in zip(files, before, strict=True):
            (server.socket_folder / name).write_bytes(content)
        reload_configuration(server)


def reload_configuration(server: DebianPostgres) -> None:
    """Have the server read its files again, and wait until it has."""
    with psycopg.connect(f"{server.dsn}?sslmode=disable", autocommit=True) as connection:
        before = connection.execute("select pg_conf_load_time()").fetchone()
        connection.execute("select pg_reload_conf()")
        while connection.execute("select pg_conf_load_time()").fetchone() == before:
            time.sleep(0.01)


@refused
async def test_a_certificate_that_has_expired_is_refused(
    configure: Configure, debian_postgres: DebianPostgres, connect: Connect, error: type[Exception]
) -> None:
    # libpq does not tell why.
    told = pytest.raises(error, match=r"certificate (has expired|verify failed)")
    with another_certificate(debian_postgres, days=-1), told:
        await connect(configure("verify-full", debian_postgres.ca_file))


async def test_a_new_certificate_of_the_server_is_taken_without_one_failed_statement(
    configure: Configure, debian_postgres: DebianPostgres
) -> None:
    async with Database(configure("verify-full", debian_postgres.ca_file), min_size=1, max_size=2) as db:
        assert await db.fetchval(ENCRYPTED)
        with another_certificate(debian_postgres, days=2):
            assert await db.fetchval(ENCRYPTED)
            db.retire_connections()
            for _ in range(5):
                assert await db.fetchval(ENCRYPTED)
            assert db.statistics().connects >= 2
