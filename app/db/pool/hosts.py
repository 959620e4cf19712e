"""Several hosts in one address: each gets a share of the time to connect, so that a silent one leaves some."""

import os
from time import monotonic
from typing import Any, NamedTuple
from urllib.parse import parse_qs, unquote, urlsplit

import asyncpg

from app.db.pool.address import check_target

# The values of target_session_attrs that need a server which accepts writes, and those that allow a read-only one.
WRITABLE = frozenset({"read-write", "primary"})
READ_ONLY = frozenset({"read-only", "standby", "prefer-standby"})
# For how many seconds a host that did not answer is tried after all others.
_SILENT = 60.0
# Errors of a host after which the next one is tried. A refused login counts for all of them, as in libpq.
_NEXT = (
    OSError,
    asyncpg.CannotConnectNowError,
    asyncpg.PostgresConnectionError,
    asyncpg.TargetServerAttributeNotMatched,
)


class Host(NamedTuple):
    """Where a server listens: a name, an address or the folder of its socket, and its port."""

    name: str
    port: int

    def __str__(self) -> str:
        return self.name if self.name.startswith("/") else f"{self.name}:{self.port}"


class Hosts:
    """The hosts of a DSN, in the order in which they are tried.

    With `prefers_writable`, if any role will do, those that take writes come first.
    """

    def __init__(self, dsn: str) -> None:
        self.dsn = dsn
        self.target = _query(dsn).get("target_session_attrs") or _target_of_environment()
        self._hosts = hosts_of(dsn)
        self.prefers_writable = False
        self._silent_since: dict[Host, float] = {}

    async def connect(self, *, timeout: float, **arguments: Any) -> Any:
        """Connect to the first host that accepts, within `timeout` seconds for all. Raises the driver's errors."""
        if len(self._hosts) < 2:
            return await asyncpg.connect(self.dsn, timeout=timeout, **arguments)
        ends, errors = monotonic() + timeout, dict[Host, Exception]()
        preferred = self._preferred()
        if preferred is None:
            return await self._first(ends, arguments, errors)
        try:
            return await self._first(ends, {**arguments, "target_session_attrs": preferred}, errors)
        except Exception:
            if not any(isinstance(error, asyncpg.TargetServerAttributeNotMatched) for error in errors.values()):
                raise
            return await self._first(ends, {**arguments, "target_session_attrs": "any"}, errors)

    def _preferred(self) -> str | None:
        """Return the role of a server that is looked for before any other one will do; None if there is no such."""
        if self.target == "prefer-standby":
            return "standby"
        return "read-write" if self.prefers_writable and self.target == "any" else None

    async def _first(self, ends: float, arguments: dict[str, Any], errors: dict[Host, Exception]) -> Any:
        """Connect to the first host that accepts until the moment `ends`. `errors` collects those of the others."""
        hosts = self._in_order()
        for tried, host in enumerate(hosts):
            share = (ends - monotonic()) / (len(hosts) - tried)
            try:
                return await self._connect(host, share, arguments)
            except _NEXT as error:
                errors[host] = error
        raise _summary(errors)

    async def _connect(self, host: Host, seconds: float, arguments: dict[str, Any]) -> Any:
        self._silent_since.pop(host, None)
        try:
            return await asyncpg.connect(self.dsn, host=host.name, port=host.port, timeout=seconds, **arguments)
        except TimeoutError as error:
            self._silent_since[host] = monotonic()
            raise TimeoutError(f"no answer in {max(seconds, 0):.1f} s") from error

    def _in_order(self) -> list[Host]:
        recent = monotonic() - _SILENT
        return sorted(self._hosts, key=lambda host: self._silent_since.get(host, 0.0) > recent)


def _target_of_environment() -> str:
    name = "PGTARGETSESSIONATTRS"
    target = os.environ.get(name) or "any"
    check_target(target, name)
    return target


def hosts_of(dsn: str) -> list[Host]:
    """Return the hosts that a DSN or PGHOST names; none if the driver must find them or reject the address."""
    query = _query(dsn)
    try:
        netloc = urlsplit(dsn).netloc
        named = netloc.partition("@")[2] if "@" in netloc else netloc
        names = (named or query.get("host") or os.environ.get("PGHOST") or "").split(",")
        ports = (query.get("port") or os.environ.get("PGPORT") or "5432").split(",")
        ports = ports * len(names) if len(ports) == 1 else ports
        return [_host(name, port) for name, port in zip(names, ports, strict=True)]
    except ValueError:
        return []


def _host(text: str, port: str) -> Host:
    name, has_port, own = text.rpartition(":")
    if text.startswith("/") or not has_port or "]" in own:
        name, own = text, port
    if not name:
        raise ValueError("a host without a name")
    return Host(unquote(name.removeprefix("[").removesuffix("]")), int(own))


def _query(dsn: str) -> dict[str, str]:
    try:
        return {name: values[-1] for name, values in parse_qs(urlsplit(dsn).query).items()}
    except ValueError:
        return {}


def _summary(errors: dict[Host, Exception]) -> Exception:
    """Return one error for all hosts: the error of each, or that none has the required role."""
    unwanted = [error for error in errors.values() if isinstance(error, asyncpg.TargetServerAttributeNotMatched)]
    if len(unwanted) == len(errors):
        return unwanted[0]
    return OSError("; ".join(f"{host}: {_reason(error)}" for host, error in errors.items()))


def _reason(error: Exception) -> str:
    if isinstance(error, ConnectionError) and error.errno:
        # asyncio repeats the address in its message.
        return os.strerror(error.errno)
    return (isinstance(error, OSError) and error.strerror) or str(error) or type(error).__name__
