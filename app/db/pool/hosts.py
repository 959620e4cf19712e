"""Several hosts in one address: each gets a share of the time to connect, so that a silent one leaves some.

A name is resolved for each connection. If it has several addresses, they share the time of their host.
"""

import asyncio
import os
import socket
from collections.abc import Awaitable, Callable, Iterable
from ipaddress import ip_address
from time import monotonic
from typing import Any, NamedTuple
from urllib.parse import parse_qs, unquote, urlsplit

import asyncpg

from app.db.pool.address import OneAddress, check_target

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


class NoneAccepted(OSError):
    """Of several places none accepted a connection. `errors` are theirs."""

    def __init__(self, errors: dict[Host, Exception]) -> None:
        super().__init__("; ".join(f"{place}: {_reason(error)}" for place, error in errors.items()))
        self.errors = list(errors.values())


class Preference(NamedTuple):
    """A role of servers that is looked for before any other will do; `others` are connections to those without it.

    They are kept, since the first of them is used if no server has the role: each is asked once.
    """

    role: str
    others: list[Any]

    async def passed(self, connection: Any, seconds: float) -> Any:
        """Return the connection if its server has the role. Otherwise keep it and raise the driver's error."""
        try:
            is_met = await self._is_met(connection, seconds)
        except BaseException:
            connection.terminate()
            raise
        if is_met:
            return connection
        self.others.append(connection)
        raise asyncpg.TargetServerAttributeNotMatched(f"the server is not {self.role}")

    async def _is_met(self, connection: Any, seconds: float) -> bool:
        settings = connection.get_settings()
        recovers = getattr(settings, "in_hot_standby", None)
        if recovers is None:
            # PostgreSQL reports it since 14.
            recovers = await connection.fetchval("select pg_is_in_recovery()", timeout=seconds) and "on"
        if self.role == "standby":
            return recovers == "on"
        return recovers != "on" and getattr(settings, "default_transaction_read_only", "off") == "off"


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
        if not self._hosts:
            return await asyncpg.connect(self.dsn, timeout=timeout, **arguments)
        ends, preferred = monotonic() + timeout, self._preferred()
        if preferred is None:
            return await self._first(ends, arguments)
        others: list[Any] = []
        try:
            return await self._first(ends, {**arguments, "target_session_attrs": "any"}, Preference(preferred, others))
        except Exception as error:
            if not others or not _names_role(error):
                raise
            return others.pop(0)
        finally:
            for other in others:
                other.terminate()

    def _preferred(self) -> str | None:
        """Return the role of a server that is looked for before any other one will do; None if there is no such."""
        if self.target == "prefer-standby":
            return "standby"
        return "read-write" if self.prefers_writable and self.target == "any" else None

    async def _first(self, ends: float, arguments: dict[str, Any], preference: Preference | None = None) -> Any:
        """Connect to the first host that accepts until the moment `ends`."""

        async def connect(host: Host, seconds: float) -> Any:
            return await self._connect(host, seconds, arguments, preference)

        return await self._first_of(self._hosts, ends, connect)

    async def _connect(
        self, host: Host, seconds: float, arguments: dict[str, Any], preference: Preference | None
    ) -> Any:
        """Connect to the first address of a host that accepts, within so many seconds."""
        ends = monotonic() + seconds

        async def connect(address: Host, seconds: float) -> Any:
            there: dict[str, Any] = {"host": host.name, "port": host.port, "timeout": seconds, **arguments}
            if address != host:
                # The driver gets the name too, which the server's certificate has to have.
                there["loop"] = OneAddress(asyncio.get_running_loop(), address.name)
            connection = await asyncpg.connect(self.dsn, **there)
            return await preference.passed(connection, ends - monotonic()) if preference else connection

        return await self._first_of(await _addresses(host, seconds), ends, connect)

    async def _first_of(
        self, places: Iterable[Host], ends: float, connect: Callable[[Host, float], Awaitable[Any]]
    ) -> Any:
        """Connect to the first place that accepts; each has an equal share of what is left of the time."""
        errors, ordered = dict[Host, Exception](), self._in_order(places)
        for tried, place in enumerate(ordered):
            seconds = (ends - monotonic()) / (len(ordered) - tried)
            self._silent_since.pop(place, None)
            try:
                return await connect(place, seconds)
            except TimeoutError as error:
                self._silent_since[place] = monotonic()
                errors[place] = TimeoutError(f"no answer in {max(seconds, 0):.1f} s")
                errors[place].__cause__ = error
            except _NEXT as error:
                errors[place] = error
        raise _summary(errors)

    def _in_order(self, places: Iterable[Host]) -> list[Host]:
        recent = monotonic() - _SILENT
        return sorted(places, key=lambda place: self._silent_since.get(place, 0.0) > recent)


async def _addresses(host: Host, seconds: float) -> list[Host]:
    """Return the addresses that a name has now; an address and a socket's folder are their own."""
    if host.name.startswith("/") or _is_address(host.name):
        return [host]
    async with asyncio.timeout(seconds):
        found = await asyncio.get_running_loop().getaddrinfo(host.name, host.port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(Host(str(where[0]), host.port) for *_, where in found))


def _is_address(name: str) -> bool:
    try:
        ip_address(name)
    except ValueError:
        return False
    return True


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
    """Return one error for all places: the error of each, or what is the same for all."""
    for kind in (asyncpg.TargetServerAttributeNotMatched, TimeoutError):
        if len(errors) == 1 or all(isinstance(error, kind) for error in errors.values()):
            return next(iter(errors.values()))
    return NoneAccepted(errors)


def _names_role(error: Exception) -> bool:
    """Return whether a server was reached that only lacks the role."""
    if isinstance(error, NoneAccepted):
        return any(_names_role(each) for each in error.errors)
    return isinstance(error, asyncpg.TargetServerAttributeNotMatched)


def _reason(error: Exception) -> str:
    if isinstance(error, ConnectionError) and error.errno:
        # asyncio repeats the address in its message.
        return os.strerror(error.errno)
    return (isinstance(error, OSError) and error.strerror) or str(error) or type(error).__name__
