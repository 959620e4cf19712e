"""Names the server in a DSN without its password, and says in plain words why it refused a connection."""

import asyncio
from urllib.parse import parse_qs, unquote, urlsplit

import asyncpg

from app.db.errors import DatabaseUnavailable


def server_name(dsn: str) -> str:
    """`localhost:5432/conduit as app`: hosts, database and user of a DSN, never its password."""
    url = urlsplit(dsn)
    user, _, hosts = url.netloc.rpartition("@")
    query = parse_qs(url.query)
    hosts = unquote(hosts) or ",".join(query.get("host", [])) or "localhost"
    ports = query.get("port", ["5432"])[0]
    named = ",".join(host if ":" in host or host.startswith("/") else f"{host}:{ports}" for host in hosts.split(","))
    user = unquote(user.partition(":")[0]) or query.get("user", [""])[0]
    return f"{named}/{unquote(url.path.lstrip('/'))}" + (f" as {user}" if user else "")


def connect_error(dsn: str, error: Exception) -> DatabaseUnavailable:
    """What a failed connection attempt means and what to try."""
    name = server_name(dsn)
    if isinstance(error, (asyncpg.InvalidPasswordError, asyncpg.InvalidAuthorizationSpecificationError)):
        return DatabaseUnavailable(f"PostgreSQL at {name} refuses the login ({error}); check the user and the password")
    if isinstance(error, asyncpg.InvalidCatalogNameError):
        return DatabaseUnavailable(f"PostgreSQL at {name} has no such database ({error}); create it with createdb")
    if isinstance(error, asyncpg.TooManyConnectionsError):
        return DatabaseUnavailable(f"PostgreSQL at {name} takes no more connections ({error}); make the pools smaller")
    if isinstance(error, (TimeoutError, asyncio.TimeoutError)):
        return DatabaseUnavailable(
            f"PostgreSQL at {name} did not answer in time; check the host, the port and firewalls"
        )
    if isinstance(error, OSError):
        reason = error.strerror or str(error)
        return DatabaseUnavailable(
            f"cannot reach PostgreSQL at {name}: {reason}; is it running, and are host and port right?"
        )
    return DatabaseUnavailable(f"cannot connect to PostgreSQL at {name}: {type(error).__name__}: {error}")
