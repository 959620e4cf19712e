from __future__ import annotations

import re
import traceback
from pathlib import Path

import pytest
from pydantic import SecretStr, ValidationError

from app.settings import Settings, SettingsError, load_settings
from app.settings_table import settings_table
from tests.processes import ROOT

KEY = "k3y-of-a-test-which-is-long-enough-for-anyone"
URL = "postgresql://ann:s3same@db.example:5432/shop"


@pytest.fixture(autouse=True)
def no_settings(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in Settings.model_fields:
        monkeypatch.delenv(name.upper(), raising=False)
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(tmp_path)


def complaint(**variables: str) -> str:
    with pytest.MonkeyPatch.context() as patch:
        for name, value in variables.items():
            patch.setenv(name, value)
        with pytest.raises(SettingsError) as caught:
            load_settings()
    return str(caught.value)


def test_nothing_need_be_set() -> None:
    settings = load_settings()

    assert settings.database_url is None
    assert settings.secret_key is None
    assert (settings.host, settings.port) == ("127.0.0.1", 8000)


def test_the_environment_wins_over_the_env_file(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("PORT=1111\nDB_POOL_SIZE=7\nSOMETHING_ELSE=1\n")
    monkeypatch.setenv("PORT", "2222")

    settings = load_settings()

    assert (settings.port, settings.db_pool_size) == (2222, 7)


def test_an_empty_variable_is_an_unset_one(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in Settings.model_fields:
        monkeypatch.setenv(name.upper(), "")

    assert load_settings() == Settings()
    assert load_settings().database_url is None


@pytest.mark.parametrize(
    ("name", "value", "allowed"),
    [
        ("PORT", "70000", "a whole number, at least 0 and at most 65535"),
        ("PORT", "http", "a whole number, at least 0 and at most 65535"),
        ("DB_POOL_SIZE", "0", "a whole number, at least 1"),
        ("DB_POOL_TIMEOUT", "0", "a number, more than 0"),
        ("DB_POOL_PRE_PING", "maybe", "true, false"),
        ("DB_POOL_PRE_PING_AFTER", "-1", "a number, at least 0"),
        ("DB_POOL_MAX_WAITING", "-1", "a whole number, at least 0"),
        ("DB_POOL_IDLE_TIMEOUT", "0", "a number, more than 0"),
        ("DB_POOL_MAX_LIFETIME", "0", "a number, more than 0"),
        ("DB_POOL_KEEPALIVE", "0", "a number, more than 0"),
        ("DB_STARTUP_WAIT", "-1", "a number, at least 0"),
        ("DB_PASSWORD_FILE", "/no/such/file", "the path of a file"),
        ("DB_PGBOUNCER", "maybe", "true, false"),
        ("DB_TLS_MODE", "on", "disable, allow, prefer, require, verify-ca, verify-full"),
        ("DB_TLS_ROOT_CERT", "/no/such/file", "the path of a file"),
        ("LOG_LEVEL", "loud", "debug, info, warning, error"),
        ("CORS_ORIGINS", "example.org", "* or https://example.org"),
    ],
)
def test_a_wrong_value_names_the_variable_and_what_is_allowed(name: str, value: str, allowed: str) -> None:
    message = complaint(**{name: value})

    assert message.startswith(f"{name}: ")
    assert value in message
    assert f"allowed: {allowed}" in message
    assert len(message.splitlines()) == 1


def test_every_wrong_variable_has_its_line() -> None:
    message = complaint(PORT="x", LOG_LEVEL="x", DATABASE_URL="mysql://db", SECRET_KEY="short")

    assert [line.partition(":")[0] for line in message.splitlines()] == [
        "DATABASE_URL",
        "SECRET_KEY",
        "PORT",
        "LOG_LEVEL",
    ]


def test_another_kind_of_database_is_told_the_schemes() -> None:
    message = complaint(DATABASE_URL="mysql://ann:s3same@db/shop", SECRET_KEY=KEY)

    assert "allowed: postgresql://, postgres://, postgresql+asyncpg://" in message


@pytest.mark.parametrize(
    ("url", "key"),
    [
        ("mysql://ann:s3same@db/shop", KEY),
        ("postgresql://ann:s3same/x@db/shop", KEY),
        ("postgresql://ann:s3same?x=1@db/shop", KEY),
        ("postgresql://ann:s3same@db:port/shop", KEY),
        ("postgresql://ann:s3same@db/shop?unknown=s3same", KEY),
        ("postgresql://ann:s3same@db/shop?password=s3samer", KEY),
        ("s3same", KEY),
        (URL, "k3y"),
    ],
)
def test_no_error_shows_a_secret(url: str, key: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATABASE_URL", url)
    monkeypatch.setenv("TEST_DATABASE_URL", url)
    monkeypatch.setenv("SECRET_KEY", key)

    with pytest.raises(SettingsError) as caught:
        load_settings()

    shown = "".join(traceback.format_exception(caught.value)) + repr(caught.value)
    assert "s3same" not in shown
    assert "k3y" not in shown


def test_no_error_of_pydantic_shows_a_secret(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATABASE_URL", "mysql://ann:s3same@db/shop")

    with pytest.raises(ValidationError) as caught:
        Settings()

    assert "s3same" not in str(caught.value)


def test_neither_repr_nor_str_shows_a_secret() -> None:
    settings = Settings(database_url=SecretStr(URL), test_database_url=SecretStr(URL), secret_key=SecretStr(KEY))

    for shown in (repr(settings), str(settings), str(settings.model_dump()), settings.model_dump_json()):
        assert "s3same" not in shown
        assert KEY not in shown


def test_a_key_is_required_with_a_database_of_ones_own_only(monkeypatch: pytest.MonkeyPatch) -> None:
    assert load_settings().secret_key is None
    monkeypatch.setenv("DATABASE_URL", URL)

    with pytest.raises(SettingsError, match=r"^SECRET_KEY: is required with DATABASE_URL; allowed: at least 32"):
        load_settings()
    assert load_settings(needs_secret_key=False).secret_key is None


def test_the_length_of_a_key_is_counted_in_bytes() -> None:
    assert "SECRET_KEY: has 31 bytes; allowed: at least 32" in complaint(SECRET_KEY="k" * 31)
    assert Settings(secret_key=SecretStr("ü" * 16)).secret_key is not None


def test_tls_settings_override_those_of_the_url(tmp_path: Path) -> None:
    certificate = tmp_path / "root.crt"
    certificate.touch()
    url = SecretStr(URL + "?sslmode=disable&application_name=x")

    settings = Settings(database_url=url, db_tls_mode="verify-full", db_tls_root_cert=certificate)

    assert settings.database_dsn == f"{URL}?sslmode=verify-full&application_name=x&sslrootcert={certificate}"


def test_there_is_no_dsn_without_a_database() -> None:
    with pytest.raises(SettingsError, match=r"^DATABASE_URL: is not set"):
        _ = Settings().database_dsn


def test_origins_are_separated_by_commas(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CORS_ORIGINS", "https://a.example, http://localhost:4100")

    assert load_settings().cors_origins == ("https://a.example", "http://localhost:4100")


def test_settings_cannot_be_changed() -> None:
    with pytest.raises(ValueError, match="frozen"):
        Settings().port = 1


def test_the_table_has_a_row_for_each_setting() -> None:
    rows = settings_table().splitlines()[2:]

    assert [row.split("`")[1] for row in rows] == [name.upper() for name in Settings.model_fields]
    assert "| `PORT` | `8000` | Port to listen on; 0: any free one. |" in rows
    assert all(field.description for field in Settings.model_fields.values())


def test_the_example_file_lists_each_setting_with_its_default(tmp_path: Path) -> None:
    text = (ROOT / ".env.example").read_text()
    examples = dict(re.findall(r"^#([A-Z_]+)=(.*)$", text, re.MULTILINE))
    optional = {name.upper() for name, field in Settings.model_fields.items() if field.default is None}

    defaults = load_settings()
    (tmp_path / ".env").write_text("\n".join(f"{n}={v}" for n, v in examples.items() if n not in optional))

    assert list(examples) == [name.upper() for name in Settings.model_fields]
    assert load_settings() == defaults
    assert load_settings().model_fields_set == set(Settings.model_fields) - {name.lower() for name in optional}


def test_migrations_take_the_password_of_the_file_as_it_is_now(tmp_path: Path) -> None:
    file = tmp_path / "password"
    file.write_text("first/one\n")
    settings = Settings(database_url=SecretStr(URL), db_password_file=file)
    assert settings.migration_dsn == "postgresql://ann:first%2Fone@db.example:5432/shop"
    file.write_text("second\n")

    assert settings.migration_dsn == "postgresql://ann:second@db.example:5432/shop"
    assert settings.database_dsn == URL


def test_a_password_file_that_went_away_is_named(tmp_path: Path) -> None:
    file = tmp_path / "password"
    file.write_text("first")
    settings = Settings(database_url=SecretStr(URL), db_password_file=file)
    file.unlink()

    with pytest.raises(SettingsError, match="DB_PASSWORD_FILE: cannot be read"):
        _ = settings.migration_dsn


@pytest.mark.parametrize("password_file", [True, False])
def test_migrations_go_past_a_pgbouncer_or_are_refused(tmp_path: Path, password_file: bool) -> None:
    (tmp_path / "password").write_text("first")
    pooled = Settings(
        database_url=SecretStr(URL),
        db_pgbouncer=True,
        db_password_file=tmp_path / "password" if password_file else None,
    )
    with pytest.raises(SettingsError, match=r"MIGRATION_DATABASE_URL: is not set, .* PgBouncer.*the server's own"):
        _ = pooled.migration_dsn

    server = "postgresql://owner@server.example:5432/shop"
    assert pooled.model_copy(update={"migration_database_url": SecretStr(server)}).migration_dsn == server
