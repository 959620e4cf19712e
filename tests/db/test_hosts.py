"""An address with several hosts."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any, Self

import asyncpg
import pytest

from app.db import Database, DatabaseUnavailable
from app.db.pool.hosts import Host, Hosts, Preference, hosts_of
from tests.db.pools import get_number, pool
from tests.network import Network, Stream


class Mute:
    """A host that accepts connections and says nothing, or closes them at once; `asked` counts them."""

    def __init__(self, *, closes: bool = False, address: str = "127.0.0.1", port: int = 0) -> None:
        self.asked = 0
        self.port = port
        self._closes = closes
        self._address = address
        self._open: set[asyncio.StreamWriter] = set()

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._accept, self._address, self.port)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        for writer in self._open:
            writer.transport.abort()
        await self._server.wait_closed()

    async def _accept(self, *stream: *Stream) -> None:
        self.asked += 1
        self._open.add(stream[1])
        if self._closes:
            stream[1].transport.abort()


@pytest.fixture
async def mute() -> AsyncIterator[Mute]:
    """A host that never answers."""
    async with Mute() as mute:
        yield mute


def first(port: int, dsn: str) -> str:
    """The address with another host before its own."""
    return dsn.replace("@", f"@127.0.0.1:{port},")


def port_of(dsn: str) -> int:
    """The port of an address with one host."""
    return int(dsn.rpartition(":")[2].partition("/")[0])


async def test_a_first_host_that_never_answers_leaves_time_for_the_second(network: Network, mute: Mute) -> None:
    async with pool(first(mute.port, network.dsn), connect_timeout=1) as db:
        assert await get_number(db, number=1) == 1
    assert mute.asked == 1


async def test_a_host_that_did_not_answer_is_the_last_for_a_while(network: Network, mute: Mute) -> None:
    dsn = first(mute.port, network.dsn)
    async with pool(dsn, connect_timeout=1, max_size=3) as db, db.acquire(), db.acquire(), db.acquire():
        assert db.statistics().size == 3
    assert mute.asked == 1


async def test_a_first_host_that_closes_every_connection_is_passed_over(network: Network) -> None:
    async with Mute(closes=True) as closing, pool(first(closing.port, network.dsn)) as db:
        assert await get_number(db, number=1) == 1
        assert closing.asked == 1


async def test_a_listener_passes_over_a_silent_host_as_well(network: Network, mute: Mute) -> None:
    async with pool(first(mute.port, network.dsn), connect_timeout=1) as db, db.listen("news") as news:
        await db.execute("notify news, 'a'")
        async with asyncio.timeout(10):
            assert await anext(news)


async def test_each_host_that_failed_is_named_with_its_reason(network: Network, mute: Mute) -> None:
    await network.cut()
    with pytest.raises(DatabaseUnavailable) as told:
        await Database(first(mute.port, network.dsn), connect_timeout=0.5).connect()

    assert f"127.0.0.1:{mute.port}: no answer in 0.2 s" in str(told.value)
    assert ": Connection refused" in str(told.value)


@pytest.mark.parametrize("target", ["any", "primary", "read-write", "prefer-standby"])
async def test_the_role_that_is_asked_for_is_found_among_the_hosts(network: Network, mute: Mute, target: str) -> None:
    dsn = first(mute.port, network.dsn) + f"&target_session_attrs={target}"
    async with pool(dsn, connect_timeout=2) as db:
        assert await get_number(db, number=1) == 1


@pytest.mark.parametrize("target", ["prefer-standby", "any"])
async def test_if_no_host_has_the_role_that_is_preferred_the_first_is_used_and_each_was_asked_once(
    network: Network, database_url: str, db: Database, target: str
) -> None:
    if target == "any":
        await db.execute(f"alter database {await db.fetchval('select current_database()')} set {READ_ONLY} = on")
    async with Network(database_url) as other:
        hosts = Hosts(first(port_of(network.dsn), other.dsn) + f"&target_session_attrs={target}")
        hosts.prefers_writable = True
        connection = await hosts.connect(timeout=5)
        assert (network.connections, other.connections) == (1, 1)
        network.drop()
        with pytest.raises(asyncpg.ConnectionDoesNotExistError):
            await connection.execute("select 1")


READ_ONLY = "default_transaction_read_only"


@dataclass
class Reporting:
    """A connection to a server that reports these settings, and answers whether it recovers."""

    settings: dict[str, str]
    recovers: bool | None = None

    def get_settings(self) -> SimpleNamespace:
        return SimpleNamespace(**self.settings)

    async def fetchval(self, sql: str, timeout: float) -> bool | None:
        assert (sql, timeout) == ("select pg_is_in_recovery()", 3.0)
        return self.recovers


@pytest.mark.parametrize(
    ("connection", "roles"),
    [
        (Reporting({"in_hot_standby": "off", READ_ONLY: "off"}), {"read-write"}),
        (Reporting({"in_hot_standby": "off", READ_ONLY: "on"}), set[str]()),
        (Reporting({"in_hot_standby": "on", READ_ONLY: "off"}), {"standby"}),
        # Before PostgreSQL 14.
        (Reporting({}, recovers=True), {"standby"}),
        (Reporting({}, recovers=False), {"read-write"}),
    ],
)
async def test_the_role_of_a_server(connection: Reporting, roles: set[str]) -> None:
    for role in ("read-write", "standby"):
        others: list[Any] = []
        preference = Preference(role, others)
        if role in roles:
            assert await preference.passed(connection, 3.0) is connection
        else:
            with pytest.raises(asyncpg.TargetServerAttributeNotMatched):
                await preference.passed(connection, 3.0)
        assert others == ([] if role in roles else [connection])


async def test_that_no_host_has_the_role_is_said(network: Network) -> None:
    dsn = first(port_of(network.dsn), network.dsn) + "&target_session_attrs=standby"
    with pytest.raises(DatabaseUnavailable, match="standby"):
        await Database(dsn).connect()


@pytest.mark.parametrize(
    ("dsn", "hosts"),
    [
        ("postgresql://ann:x@one:1,two/d", [Host("one", 1), Host("two", 5432)]),
        ("postgresql://one,[::1]:3,[::2]/d", [Host("one", 5432), Host("::1", 3), Host("::2", 5432)]),
        ("postgresql:///d?host=/tmp,/run&port=1,2", [Host("/tmp", 1), Host("/run", 2)]),
        ("postgresql://ann@%2Ftmp%2Fx:7/d", [Host("/tmp/x", 7)]),
        ("postgresql://one,two/d?port=6", [Host("one", 6), Host("two", 6)]),
        ("postgresql:///d", []),
        ("postgresql://one:x,two/d", []),
        ("postgresql://one,two/d?port=1,2,3", []),
    ],
)
def test_the_hosts_of_an_address(dsn: str, hosts: list[Host], monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("PGHOST", "PGPORT"):
        monkeypatch.delenv(name, raising=False)
    assert hosts_of(dsn) == hosts
