"""The settings of the service, read once from the environment and `.env`."""

from typing import Annotated, Literal

from pydantic import Field, FilePath, IPvAnyNetwork, SecretStr, ValidationError, field_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from app.dsn import normal_dsn
from app.setting_problems import check_origin, describe_problem

SECRET_KEY_BYTES = 32


class SettingsError(Exception):
    """Settings are invalid. The message has a line for each wrong variable, never the value of a secret."""


class Settings(BaseSettings):
    """The settings, validated. Secrets are SecretStr: repr, str and errors do not show them."""

    model_config = SettingsConfigDict(
        env_file=".env", env_file_encoding="utf-8", env_ignore_empty=True, extra="ignore", frozen=True,
        hide_input_in_errors=True,
    )  # fmt: skip

    database_url: SecretStr | None = Field(
        default=None, description="Where PostgreSQL is; unset: an embedded one with its data in `.postgres/`."
    )
    migration_database_url: SecretStr | None = Field(
        default=None, description="The same database as its owner, who runs migrations; unset: DATABASE_URL."
    )
    test_database_url: SecretStr | None = Field(
        default=None, description="The tests' database, its name ending in `_test`; unset: an embedded one."
    )
    db_pool_size: int = Field(default=5, ge=1, le=10_000, description="Connections kept open.")
    db_max_overflow: int = Field(
        default=10, ge=0, le=10_000, description="Connections opened on top of these under load."
    )
    db_pool_timeout: float = Field(default=5, gt=0, le=3600, description="Seconds to wait for a free connection.")
    db_pool_connect_rate: int = Field(
        default=20, ge=1, le=10_000, description="Connections opened within a second, at most."
    )
    db_pool_max_waiting: int = Field(
        default=1000, ge=0, le=1_000_000, description="Tasks that may wait for a connection; one more fails at once."
    )
    db_pool_pre_ping: bool = Field(default=True, description="Test a connection that was idle before it is used.")
    db_pool_pre_ping_after: float = Field(
        default=0.5, ge=0, le=3600, description="Seconds that a connection is idle before that test is needed."
    )
    db_pool_idle_timeout: float = Field(
        default=60, gt=0, le=86_400, description="Seconds after which an idle connection beyond the size is closed."
    )
    db_pool_max_lifetime: float = Field(
        default=1800, gt=0, le=31_536_000, description="Seconds after which a connection is replaced."
    )
    db_pool_keepalive: float = Field(
        default=30, gt=0, le=86_400, description="Seconds of silence after which an idle connection is tested."
    )
    db_connect_timeout: float = Field(default=5, gt=0, le=3600, description="Seconds that connecting may take.")
    db_startup_wait: float = Field(
        default=0, ge=0, le=3600, description="Seconds to wait for the database when starting; 0: fail at once."
    )
    db_statement_timeout: float = Field(
        default=30, ge=0, le=86_400, description="Seconds after which the server cancels a statement; 0: never."
    )
    db_tls_mode: Literal["disable", "allow", "prefer", "require", "verify-ca", "verify-full"] | None = Field(
        default=None, description="libpq's `sslmode`; unset: what DATABASE_URL says."
    )
    db_tls_root_cert: FilePath | None = Field(
        default=None,
        description="File with the certificates that may sign the server's; unset: what DATABASE_URL says.",
    )
    db_password_file: FilePath | None = Field(
        default=None,
        description="File whose first line is the password, read for each new connection; unset: the URL's.",
    )
    db_pgbouncer: bool = Field(
        default=False, description="DATABASE_URL leads to a PgBouncer in transaction mode; migrations go past it."
    )
    db_allow_superuser: bool = Field(
        default=False, description="Let the service of production connect as a superuser, who may do everything."
    )
    secret_key: SecretStr | None = Field(
        default=None,
        description="Signs tokens, at least 32 bytes; required with DATABASE_URL, else kept in `.postgres/`.",
    )
    secret_key_previous: SecretStr | None = Field(
        default=None,
        description="The key before, at least 32 bytes: its tokens stay valid until they expire, it signs no new ones.",
    )
    # No operation of the contract renews or revokes a token: a week is how long a leaked one lives, and how often
    # people must log in again.
    token_ttl: int = Field(
        default=604_800, ge=1, le=31_536_000, description="Seconds that a token is valid (default: a week)."
    )
    password_workers: int = Field(
        default=2, ge=1, le=64, description="Passwords hashed at once; each takes a core and 19 MiB."
    )
    login_window: int = Field(
        default=900, ge=1, le=86_400, description="Seconds for which a failed log-in counts; above a limit: 429."
    )
    login_failures: int = Field(
        default=10, ge=1, le=1_000_000, description="Log-ins to an account that may fail from one address."
    )
    login_failures_of_address: int = Field(
        default=300, ge=1, le=1_000_000, description="Log-ins that may fail from one address, to all accounts."
    )
    login_failures_of_account: int = Field(
        default=100,
        ge=1,
        le=1_000_000,
        description="Log-ins to an account that may fail from all addresses; where it logged in before, it still may.",
    )
    environment: Literal["development", "production"] | None = Field(
        default=None,
        description="In development answers tell their times, and repeated statements are warned of; unset:"
        " production, and development with the embedded server.",
    )
    host: str = Field(default="127.0.0.1", description="Address to listen on.")
    port: int = Field(default=8000, ge=0, le=65_535, description="Port to listen on; 0: any free one.")
    workers: int = Field(
        default=1, ge=1, le=512, description="Processes that serve the port; the sizes of the pool are those of all."
    )
    log_level: Literal["debug", "info", "warning", "error"] = Field(
        default="info", description="The least that is logged."
    )
    log_format: Literal["auto", "console", "json"] = Field(
        default="auto", description="Lines for people, or JSON; auto: for people on a terminal."
    )
    log_share: float | None = Field(
        default=None,
        ge=0,
        le=1,
        description="Share of fast successful requests that get a log line; unset: 1 in development, else 0.1.",
    )
    log_slow_request: float = Field(
        default=1, gt=0, le=3600, description="Seconds from which on a request gets a log line in any case."
    )
    db_slow_statement: float = Field(
        default=0.5, ge=0, le=3600, description="Seconds after which a statement is logged with its plan; 0: never."
    )
    db_repeated_statement: int = Field(
        default=10,
        ge=0,
        le=1_000_000,
        description="Runs of one statement in a request above which development warns; 0: never.",
    )
    monitor_token: SecretStr | None = Field(
        default=None,
        description="Opens `/monitor` and `/metrics` to other machines, at least 32 bytes; unset: this machine only.",
    )
    trusted_proxies: Annotated[tuple[IPvAnyNetwork, ...] | None, NoDecode] = Field(
        default=None, description="Proxies whose X-Forwarded-For counts: addresses or networks, separated by commas."
    )
    traces: bool = Field(
        default=False, description="Send traces by OpenTelemetry, as its OTEL_… variables say; needs `bindery[otel]`."
    )
    cors_origins: Annotated[tuple[str, ...], NoDecode] = Field(
        default=("*",), description="Origins whose pages may call the API, separated by commas; `*`: all."
    )
    idempotency_key_lifetime: int = Field(
        default=86_400,
        ge=1,
        le=31_536_000,
        description="Seconds after which an Idempotency-Key and its answer are deleted, within the hour.",
    )
    max_body_bytes: int = Field(
        default=1_048_576, ge=1, le=1_073_741_824, description="Longest request body, in bytes."
    )
    http_head_timeout: float = Field(
        default=10, gt=0, le=3600, description="Seconds in which a client sends the head of a request; then 408."
    )
    http_body_timeout: float = Field(
        default=30, gt=0, le=86_400, description="Seconds in which a client sends the body, as a whole; then 408."
    )
    http_send_timeout: float = Field(
        default=20, gt=0, le=86_400, description="Seconds without reading an answer, after which it is cut off."
    )
    http_idle_timeout: int = Field(
        default=5, ge=1, le=86_400, description="Seconds without a next request, after which a connection is closed."
    )
    http_max_head_bytes: int = Field(
        default=32_768, ge=1024, le=1_048_576, description="Longest head of a request, in bytes; above: 431."
    )
    http_max_connections: int = Field(
        default=5000, ge=1, le=1_000_000, description="Connections of clients; one more is closed with 503."
    )
    overload_target: float = Field(
        default=0.01,
        ge=0,
        le=60,
        description="Seconds that requests may wait for their turn; while all wait longer, some get 503; 0: none.",
    )
    export_connections: int = Field(
        default=3, ge=1, le=10_000, description="Exports at once, each on a connection; at most the pool's but one."
    )
    export_read_timeout: float = Field(
        default=20, gt=0, le=3600, description="Seconds that a client may take for each 64 KiB of an export."
    )
    shutdown_timeout: int = Field(
        default=10, ge=0, le=3600, description="Seconds that running requests get when stopping."
    )

    @field_validator("database_url", "migration_database_url", "test_database_url")
    @classmethod
    def _is_an_address(cls, value: SecretStr | None) -> SecretStr | None:
        if value is not None:
            normal_dsn(value.get_secret_value())
        return value

    @field_validator("secret_key", "secret_key_previous", "monitor_token")
    @classmethod
    def _is_long_enough(cls, value: SecretStr | None) -> SecretStr | None:
        if value is not None and (length := len(value.get_secret_value().encode())) < SECRET_KEY_BYTES:
            raise ValueError(f"has {length} bytes; allowed: at least {SECRET_KEY_BYTES}")
        return value

    @field_validator("cors_origins", "trusted_proxies", mode="before")
    @classmethod
    def _split_at_commas(cls, value: object) -> object:
        return tuple(part.strip() for part in value.split(",") if part.strip()) if isinstance(value, str) else value

    @field_validator("cors_origins")
    @classmethod
    def _are_origins(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for origin in value:
            check_origin(origin)
        return value

    @property
    def is_development(self) -> bool:
        """Whether ENVIRONMENT is development."""
        return self.environment == "development"

    @property
    def environment_name(self) -> str:
        """`development` or `production`."""
        return self.environment or "production"

    @property
    def names_a_database(self) -> bool:
        """Whether there is a server to migrate; if not, it is the embedded one."""
        return (self.migration_database_url or self.database_url) is not None

    @property
    def database_dsn(self) -> str:
        """DATABASE_URL and the TLS settings as one URL for both drivers. Raises SettingsError when there is none."""
        return self._dsn()

    @property
    def service_dsn(self) -> str:
        """`database_dsn` for a program that connects once, with the password that is in DB_PASSWORD_FILE now."""
        if self.db_password_file is None:
            return self._dsn()
        try:
            return self._dsn(password=self.db_password_file.read_text().partition("\n")[0])
        except OSError as error:
            raise SettingsError(f"DB_PASSWORD_FILE: cannot be read: {error.strerror}") from error

    @property
    def migration_dsn(self) -> str:
        """The owner's DSN: MIGRATION_DATABASE_URL with the TLS settings, or `service_dsn` where that is not set.

        Raises SettingsError if that leads to a PgBouncer, whose sessions would keep a migration's locks for others.
        """
        if self.migration_database_url is not None:
            return self._dsn(self.migration_database_url)
        if self.db_pgbouncer and self.database_url is not None:
            raise SettingsError(
                "MIGRATION_DATABASE_URL: is not set, and DATABASE_URL leads to a PgBouncer, as DB_PGBOUNCER says;"
                " allowed: the server's own address, postgresql://user:password@host:port/database"
            )
        return self.service_dsn

    def _dsn(self, url: SecretStr | None = None, password: str | None = None) -> str:
        url = url or self.database_url
        if url is None:
            raise SettingsError("DATABASE_URL: is not set; allowed: postgresql://user:password@host:port/database")
        root_cert = str(self.db_tls_root_cert) if self.db_tls_root_cert else None
        return normal_dsn(url.get_secret_value(), tls_mode=self.db_tls_mode, tls_root_cert=root_cert, password=password)


def load_settings(*, needs_secret_key: bool = True) -> Settings:
    """Load the settings of the environment and `.env`. Raises SettingsError with a line for each wrong variable.

    With `needs_secret_key=False`, for migrations, DATABASE_URL is enough: they sign no token.
    """
    try:
        settings = Settings()
    except ValidationError as error:
        problems = [describe_problem(Settings.model_fields, detail) for detail in error.errors(include_url=False)]
    else:
        if not needs_secret_key or settings.secret_key or settings.database_url is None:
            return settings
        problems = [f"SECRET_KEY: is required with DATABASE_URL; allowed: at least {SECRET_KEY_BYTES} random bytes"]
    # Outside the except block: the validation error would travel along, with the values in it.
    raise SettingsError("\n".join(problems))
