from __future__ import annotations

import re
import ssl
from pathlib import Path

import asyncpg
import psycopg
import pytest

from app.dsn import normal_dsn

SAME = "postgresql://ann:pw@db:5433/shop"


@pytest.mark.parametrize(
    "scheme", ["postgresql", "postgres", "postgresql+asyncpg", "postgresql+psycopg", "postgres+asyncpg", "POSTGRES"]
)
def test_each_scheme_is_the_same_address(scheme: str) -> None:
    assert normal_dsn(f"{scheme}://ann:pw@db:5433/shop") == SAME


@pytest.mark.parametrize(
    ("url", "normal"),
    [
        ("postgresql://ann:pw@h1:1,h2:2/db", "postgresql://ann:pw@h1:1,h2:2/db"),
        ("postgresql://ann@/db?host=h1:1&host=h2:2", "postgresql://ann@h1:1,h2:2/db"),
        ("postgresql://ann@/db?host=h1,h2&port=1,2", "postgresql://ann@h1:1,h2:2/db"),
        ("postgresql://ann@h1,h2/db?port=7", "postgresql://ann@h1:7,h2:7/db"),
        ("postgresql://ann@/db?host=/run/pg", "postgresql://ann@%2Frun%2Fpg/db"),
        ("postgresql://ann@/db?host=/run/pg&port=7", "postgresql://ann@%2Frun%2Fpg:7/db"),
        ("postgresql://ann@%2Frun%2Fpg:7/db", "postgresql://ann@%2Frun%2Fpg:7/db"),
        ("postgresql://ann@[::1]:7/db", "postgresql://ann@[::1]:7/db"),
        ("postgresql://ann@/db?host=::1", "postgresql://ann@[::1]/db"),
        ("postgresql://ann:p@w@db/x", "postgresql://ann:p%40w@db/x"),
        ("postgresql://ann:p%2Fw%3A@db/x", "postgresql://ann:p%2Fw%3A@db/x"),
        ("postgresql://db/x?user=ann&password=p%26w", "postgresql://ann:p%26w@db/x"),
        ("postgresql:///x", "postgresql:///x"),
        ("postgresql://db", "postgresql://db/"),
        ("postgresql://db/x?ssl=require", "postgresql://db/x?sslmode=require"),
        ("postgresql://db/x?sslmode=&application_name=a%20b", "postgresql://db/x?application_name=a%20b"),
        ("postgresql://db?database=x%2Fy", "postgresql://db/x%2Fy"),
        ("postgresql://db/x?dbname=x&user=ann&user=ann", "postgresql://ann@db/x"),
    ],
)
def test_one_form_stands_for_each_way_of_writing(url: str, normal: str) -> None:
    assert normal_dsn(url) == normal
    assert normal_dsn(normal) == normal


@pytest.mark.parametrize(
    ("url", "complaint"),
    [
        ("mysql://db/x", "allowed: postgresql://, postgres://"),
        ("db/x", "allowed: postgresql://, postgres://"),
        ("postgresql://ann:p/w@db/x", "percent-encode"),
        ("postgresql://ann:p?w=1@db/x", "percent-encode"),
        ("postgresql://ann:p#w@db/x", "percent-encode"),
        ("postgresql://db:x/x", "port that is not a number; allowed: 1 to 65535"),
        ("postgresql://db:99999/x", "port that is not a number; allowed: 1 to 65535"),
        ("postgresql://h1,h2,h3/x?port=1,2", "number of ports"),
        ("postgresql://db/x?host=other", "host twice"),
        ("postgresql://db/x?dbname=y", "database twice"),
        ("postgresql://db/x?ssl=true", "allowed: disable, allow"),
        ("postgresql://db/x?channel_binding=require", "sslmode=verify-full with sslrootcert=system"),
        ("postgresql://db/x?keepalives=1", "'keepalives'; allowed: host, port"),
        ("postgresql://db/x?gssencmode=require", "does not encrypt by GSS"),
        ("postgresql://db/x?connect_timeout=5", "use DB_CONNECT_TIMEOUT"),
        ("postgresql://db/x?pgbouncer=true&connection_limit=1", "use DB_PGBOUNCER"),
        ("postgresql://db/x?target_session_attrs=read-wirte", "did you mean read-write?"),
        ("postgresql://db/x?sslrootcert=system&sslmode=require", "use sslmode=verify-full"),
    ],
)
def test_what_the_drivers_would_read_differently_is_refused(url: str, complaint: str) -> None:
    with pytest.raises(ValueError, match=re.escape(complaint)):
        normal_dsn(url)


@pytest.mark.parametrize(
    ("query", "kept"),
    [
        ("sslmode=require&channel_binding=prefer&gssencmode=disable", "?sslmode=require"),
        ("sslmode=verify-full&channel_binding=require", "?sslmode=verify-full"),
        ("channel_binding=disable&client_encoding=UTF8", ""),
    ],
)
def test_what_providers_write_and_changes_nothing_is_left_out(query: str, kept: str) -> None:
    assert normal_dsn(f"postgresql://db/x?{query}") == f"postgresql://db/x{kept}"


def test_the_certificates_of_the_system_are_a_file_to_both_drivers(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    bundle = tmp_path / "bundle.crt"
    bundle.write_text("")
    paths = ssl.get_default_verify_paths()._replace(cafile=str(bundle))
    monkeypatch.setattr(ssl, "get_default_verify_paths", lambda: paths)

    assert normal_dsn("postgresql://db/x?sslrootcert=system") == (
        f"postgresql://db/x?sslrootcert={bundle}&sslmode=verify-full"
    )


@pytest.mark.parametrize("before", ["", "127.0.0.1:1,"])
async def test_both_drivers_reach_what_the_normal_form_names(database_url: str, before: str) -> None:
    login, _, rest = database_url.removeprefix("postgresql://").rpartition("@")
    dsn = normal_dsn(f"postgres+asyncpg://{login}@{before}{rest}?application_name=a%20b%26c&ssl=prefer")
    asked = "select current_database() || ' ' || current_setting('application_name')"

    connection = await asyncpg.connect(dsn)
    by_asyncpg = await connection.fetchval(asked)
    await connection.close()
    with psycopg.connect(dsn) as other:
        by_psycopg = other.execute(asked).fetchone()

    assert by_psycopg == (by_asyncpg,)
    assert by_asyncpg.endswith(" a b&c")
