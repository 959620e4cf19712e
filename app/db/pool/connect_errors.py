"""Names the server of a DSN without its password, and says in plain words why it refused a connection."""

from urllib.parse import SplitResult, parse_qs, unquote, urlsplit

import asyncpg

from app.db.errors import DatabaseUnavailable

UNREADABLE = "(an address that is not shown, since a part of it is not percent-encoded)"


def server_name(dsn: str) -> str:
    """Return hosts, database and user of a DSN, never its password: `localhost:5432/shop as app`."""
    try:
        url = urlsplit(dsn)
    except ValueError:
        return UNREADABLE
    # A / ? or # in a password ends the address too early: what looks like the host is then part of the password.
    return UNREADABLE if "@" in url.path + url.query + url.fragment else _shown(url)


def _shown(url: SplitResult) -> str:
    user, _, hosts = url.netloc.rpartition("@")
    query = parse_qs(url.query)
    hosts = unquote(hosts) or ",".join(query.get("host", [])) or "localhost"
    port = query.get("port", ["5432"])[0]
    named = ",".join(host if _has_port(host) else f"{host}:{port}" for host in hosts.split(","))
    user = unquote(user.partition(":")[0]) or query.get("user", [""])[0]
    return f"{named}/{unquote(url.path.lstrip('/'))}" + (f" as {user}" if user else "")


def _has_port(host: str) -> bool:
    """Return whether a host has a port or is the folder of a socket."""
    return host.startswith("/") or ":" in host.rpartition("]")[2]


def connect_error(dsn: str, error: Exception) -> DatabaseUnavailable:
    """Return the error that says why a connection attempt failed and what to try."""
    explain = _refused if isinstance(error, asyncpg.PostgresError) else _unreached
    return DatabaseUnavailable(explain(f"PostgreSQL at {server_name(dsn)}", error))


def _refused(server: str, error: Exception) -> str:
    if isinstance(error, asyncpg.InvalidAuthorizationSpecificationError):
        return f"{server} refuses the login ({error}); check the user and the password"
    if isinstance(error, asyncpg.InvalidCatalogNameError):
        return f"{server} has no such database ({error}); create it with createdb"
    if isinstance(error, asyncpg.TooManyConnectionsError):
        return f"{server} takes no more connections ({error}); make the pools smaller"
    if "unsupported startup parameter" in str(error):
        return f"{server} is a PgBouncer ({error}); set DB_PGBOUNCER=true, or give pgbouncer=True to the Database"
    return f"cannot connect to {server}: {type(error).__name__}: {error}"


def _unreached(server: str, error: Exception) -> str:
    if isinstance(error, TimeoutError):
        return f"{server} did not answer in time; check the host, the port and firewalls"
    if isinstance(error, OSError):
        reason = error.strerror or str(error)
        return f"cannot reach {server}: {reason}; is it running, and are host and port right?"
    if isinstance(error, ValueError) and not isinstance(error, asyncpg.InterfaceError):
        # Its message quotes the part that could not be read, which may belong to the password.
        return f"cannot read the address of {server}: is a part not percent-encoded, or the port not a number?"
    return f"cannot connect to {server}: {type(error).__name__}: {error}"
