"""Parameters in the addresses of hosting providers that the driver does not know, or reads differently from libpq."""

import difflib
import ssl
from asyncio import AbstractEventLoop
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, quote, urlencode, urlsplit

TARGETS = ("any", "primary", "read-write", "read-only", "standby", "prefer-standby")
# Where systems keep their trusted certificates, if OpenSSL does not know.
_BUNDLES = ("/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt", "/etc/ssl/cert.pem")
# Parameters that change nothing for the driver when they have these values.
_WITHOUT_EFFECT = {
    "channel_binding": {"prefer", "disable"},
    "gssencmode": {"prefer", "disable"},
    "sslcompression": {"0"},
    "client_encoding": {"utf8", "utf-8", "auto"},
}
_HINTS = {
    "connect_timeout": "use DB_CONNECT_TIMEOUT, or Database(connect_timeout=), instead",
    "pgbouncer": "use DB_PGBOUNCER, or Database(pgbouncer=True), instead",
    "connection_limit": "use DB_POOL_SIZE and DB_MAX_OVERFLOW, or Database(max_size=), instead",
    "pool_timeout": "use DB_POOL_TIMEOUT, or Database(acquire_timeout=), instead",
    "schema": "write options=-csearch_path%3D and the schema instead",
    "gssencmode": "the driver does not encrypt by GSS: use sslmode=verify-full instead",
    "client_encoding": "the driver speaks UTF-8: leave it out",
}
_UNBOUND = (
    "the driver cannot bind the login to the channel; sslmode=verify-full with sslrootcert=system, which proves who"
    " the server is, protects as well: add them, or leave channel_binding out"
)


def understood(parameters: Mapping[str, str]) -> dict[str, str]:
    """Return the parameters in a form that the driver and libpq read alike, without those that change nothing.

    Raises ValueError for what the driver cannot do; it names the parameter and says what to write instead.
    """
    kept = {name: value for name, value in parameters.items() if not _changes_nothing(name, value)}
    if kept.get("channel_binding") == "require":
        if kept.get("sslmode") != "verify-full" and kept.get("sslrootcert") != "system":
            raise ValueError(f"says channel_binding=require: {_UNBOUND}")
        del kept["channel_binding"]
    for name, hint in _HINTS.items():
        if name in kept:
            raise ValueError(f"says {name}={kept[name][:40]}: {hint}")
    check_target(kept.get("target_session_attrs", "any"), "target_session_attrs")
    if kept.get("sslrootcert") == "system":
        kept |= {"sslmode": _full(kept.get("sslmode", "verify-full")), "sslrootcert": _system_bundle()}
    return kept


def understood_dsn(dsn: str) -> str:
    """Return the DSN with its parameters understood(); the same text if nothing changes or it cannot be read."""
    try:
        url = urlsplit(dsn)
    except ValueError:
        return dsn
    pairs = parse_qsl(url.query)
    given = dict(pairs)
    try:
        kept = understood(given)
    except ValueError as error:
        raise ValueError(f"the address of the database {error}") from None
    if kept == given:
        return dsn
    changed = {name: value for name, value in kept.items() if given.get(name) != value}
    # A host may come several times.
    same = [(name, value) for name, value in pairs if name in kept and name not in changed]
    query = urlencode([*same, *changed.items()], quote_via=quote)
    return f"{dsn.partition('?')[0]}?{query}".removesuffix("?")


def check_target(target: str, name: str) -> None:
    """Raise ValueError for an unknown role of a server. `name` is the parameter or variable that has it."""
    if target not in TARGETS:
        near = difflib.get_close_matches(target, TARGETS, n=1)
        hint = f"; did you mean {near[0]}?" if near else ""
        raise ValueError(f"says {name}={target[:40]}; allowed: {', '.join(TARGETS)}{hint}")


def _changes_nothing(name: str, value: str) -> bool:
    return value.lower() in _WITHOUT_EFFECT.get(name, ())


def _full(mode: str) -> str:
    if mode != "verify-full":
        raise ValueError(
            f"says sslrootcert=system with sslmode={mode}: anybody may have such a certificate, so that the name in it"
            " must be checked: use sslmode=verify-full"
        )
    return mode


def _system_bundle() -> str:
    """Return the file with the certificates that this system trusts."""
    own = ssl.get_default_verify_paths().cafile
    for path in (own, *_BUNDLES):
        if path and Path(path).is_file():
            return path
    raise ValueError(
        "says sslrootcert=system, and this system has no file of trusted certificates: install ca-certificates, or"
        " name a file"
    )


class OneAddress:
    """The event loop of a connection, where every name is this one address.

    The driver takes no address beside the name, which TLS needs.

    The request that cancels a statement goes to the same address, as the connection keeps this loop.
    """

    def __init__(self, loop: AbstractEventLoop, address: str) -> None:
        self._loop = loop
        self._address = address
        # What the driver asks for with each statement that has a limit.
        self.create_future = loop.create_future
        self.call_later = loop.call_later
        self.time = loop.time

    def __getattr__(self, name: str) -> Any:
        return getattr(self._loop, name)

    def __eq__(self, other: object) -> bool:
        return self is other or self._loop is other

    def __hash__(self) -> int:
        # asyncio finds the current task by its loop.
        return hash(self._loop)

    async def create_connection(self, protocol_factory: Any, host: str, port: int, **arguments: Any) -> Any:
        """Connect to the address in place of the host."""
        if arguments.get("ssl"):
            arguments["server_hostname"] = host
        return await self._loop.create_connection(protocol_factory, self._address, port, **arguments)
