"""What PostgreSQL is asked, and who may ask it."""

from __future__ import annotations

import asyncio
import secrets
import threading

import psycopg
import pytest
from psycopg import sql

from app.db import Database
from app.monitor.names import statement_name
from app.monitor.server import Server
from tests.databases import replace_user


async def test_a_role_without_rights_may_ask_everything(database_url: str) -> None:
    name = f"nobody_{secrets.token_hex(4)}"
    with psycopg.connect(database_url, autocommit=True) as admin:
        admin.execute(sql.SQL("create role {} login").format(sql.Identifier(name)))
        try:
            server = Server(Database(replace_user(database_url, name), min_size=1, max_size=1))
            state = await server.state(detailed=True)
            await server.close()
        finally:
            admin.execute(sql.SQL("drop role {}").format(sql.Identifier(name)))

    assert state.error == ""
    assert state.database is not None
    assert state.database.connections >= 2
    assert {each.name for each in state.details.tables} >= {"commit_tokens"}
    assert state.details.statements is None


async def test_an_idle_transaction_is_seen_with_its_age(db: Database, database_url: str) -> None:
    server = Server(Database(database_url, min_size=1, max_size=1))
    async with db.transaction() as tx:
        await tx.fetchval("select 1")
        await asyncio.sleep(0.2)
        state = await server.state()
    await server.close()

    assert state.database is not None
    assert (state.database.oldest_idle_transaction_seconds or 0) >= 0.2
    assert "idle in transaction" in {each.state for each in state.states}


async def test_the_server_is_asked_once_for_all_who_ask_together(db: Database, database_url: str) -> None:
    own = Database(database_url, min_size=1, max_size=1)
    server = Server(own)
    states = await asyncio.gather(*(server.state() for _ in range(10)))
    [asked] = [each for each in own.figures.all() if each.name == "monitor.get_database_figures"]
    await server.close()

    assert asked.calls == 1
    assert all(state is states[0] for state in states)


async def test_asking_costs_no_reset_of_the_connection(database_url: str) -> None:
    own = Database(database_url, min_size=1, max_size=1)
    server = Server(own)
    await server.state()
    resets = own.statistics().resets
    await server.close()

    assert resets == 0


def test_the_name_of_a_statement_is_at_the_end_of_its_text() -> None:
    assert statement_name("select 1 /* users.find_user */") == "users.find_user"
    assert statement_name("select 1 /* users.find_user */ ") == "users.find_user"
    assert statement_name("select '/* users.find_user */'") is None
    assert statement_name("select 1 /* users.find_us") is None


async def test_looking_at_the_processes_of_the_server_does_not_hold_up_the_event_loop(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    threads: list[int] = []

    def note(*_: object) -> None:
        threads.append(threading.get_ident())

    monkeypatch.setattr("app.monitor.server.server_figures", note)
    server = Server(Database(database_url, min_size=1, max_size=1))
    await server.state()
    await server.close()

    assert threads
    assert threads[0] != threading.get_ident()
