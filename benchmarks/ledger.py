"""Transfers between accounts while backends, the server and the network die: is every one stored once, or not at all?

    python -m benchmarks.ledger --count 300 --seed 1

Each transfer runs through `Database.run(..., token=...)`. One failure is planned for each, before, during or after its
COMMIT. At the end the ledger is compared with what the callers were told: what was acknowledged is there exactly once,
what was refused is not, what stayed a question is there once or not at all, and no money was made or lost.
"""

import asyncio
import random
import subprocess
import tempfile
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from uuid import UUID, uuid4

import asyncpg
import click

from app.db import CommitUnknown, Connection, Database, DatabaseUnavailable, PoolTimeout
from app.embedded import EmbeddedPostgres
from tests.network import Network

ACCOUNTS, MONEY = 10, 1000
# COMMIT takes a moment, so that it can be hit half way.
SCHEMA = f"""
    create table commit_tokens (
        token uuid constraint commit_tokens_pkey primary key, created_at timestamptz not null default now()
    );
    create table accounts (id int primary key, balance int not null);
    insert into accounts select n, {MONEY} from generate_series(1, {ACCOUNTS}) as n;
    create table transfers (id uuid not null, debtor int not null, creditor int not null, amount int not null);
    create function take_time() returns trigger language plpgsql as $$
    begin perform pg_sleep(0.03); return null; end $$;
    create constraint trigger slow after insert on transfers deferrable initially deferred
    for each row execute function take_time();
"""
MOMENTS = {"before": 0.0, "during": 0.02, "after": 0.035}


@dataclass
class Outcome:
    """What the callers were told."""

    acknowledged: set[UUID] = field(default_factory=set[UUID])
    refused: set[UUID] = field(default_factory=set[UUID])
    unknown: set[UUID] = field(default_factory=set[UUID])
    failures: Counter[str] = field(default_factory=Counter[str])
    runs: int = 0


class Saboteur:
    """Kills what a transfer depends on."""

    def __init__(self, server: EmbeddedPostgres, network: Network, control: str) -> None:
        self._server = server
        self._network = network
        self._control = control
        self._restarting = asyncio.Lock()

    async def kill(self, target: str, pid: int, delay: float) -> None:
        """Kill the backend, the server or the network, so many seconds from now."""
        await asyncio.sleep(delay)
        async with self._restarting:
            if target == "backend":
                await self._kill_backend(pid)
            elif target == "network":
                await self._network.cut()
                await self._network.mend()
            else:
                self._restart()

    async def _kill_backend(self, pid: int) -> None:
        connection = await asyncpg.connect(self._control)
        try:
            await connection.execute("select pg_terminate_backend($1)", pid)
        finally:
            await connection.close()

    def _restart(self) -> None:
        """Crash it and start it; nothing else goes on meanwhile."""
        # The embedded server has no such command: it never stops but by its last user's leave.
        programs, data = self._server._programs, self._server._data  # pyright: ignore[reportPrivateUsage] - it crashes that server on purpose
        stop = [programs / "pg_ctl", "stop", "-w", "-m", "immediate", "-D", data]
        subprocess.run(stop, check=True, capture_output=True, cwd="/", user=data.owner())
        self._server._launch()  # pyright: ignore[reportPrivateUsage] - it crashes that server on purpose


async def transfer(tx: Connection, token: UUID, saboteur: Saboteur, plan: tuple[str, str, int], out: Outcome) -> UUID:
    """Move money, and arrange for a failure the first time."""
    out.runs += 1
    target, moment, seed = plan
    debtor, creditor = sorted(random.Random(seed).sample(range(1, ACCOUNTS + 1), 2))
    amount = random.Random(seed).randint(1, 50)
    await tx.execute("update accounts set balance = balance - $2 where id = $1", debtor, amount)
    await tx.execute("update accounts set balance = balance + $2 where id = $1", creditor, amount)
    await tx.execute("insert into transfers values ($1, $2, $3, $4)", token, debtor, creditor, amount)
    if not out.failures[f"{token}"]:
        out.failures[f"{token}"] += 1
        pid = await tx.fetchval("select pg_backend_pid()")
        killing = asyncio.create_task(saboteur.kill(target, pid, MOMENTS[moment]))
        KILLINGS.add(killing)
        killing.add_done_callback(KILLINGS.discard)
        if moment == "before":
            await asyncio.shield(killing)
    return token


KILLINGS: set[asyncio.Task[None]] = set()


async def make_transfers(database: Database, saboteur: Saboteur, count: int, seed: int) -> tuple[Outcome, Counter[str]]:
    """as many transfers, two at a time."""
    chance, out, answers = random.Random(seed), Outcome(), Counter[str]()
    plans = [
        (
            chance.choices(("backend", "network", "server"), (6, 6, 1))[0],
            chance.choice(tuple(MOMENTS)),
            chance.getrandbits(32),
        )
        for _ in range(count)
    ]
    slots = asyncio.Semaphore(2)

    async def one(plan: tuple[str, str, int]) -> None:
        token = uuid4()
        async with slots:
            try:
                given = await database.run(transfer, token, saboteur, plan, out, token=token, attempts=20)
                assert given == token
                out.acknowledged.add(token)
            except CommitUnknown:
                out.unknown.add(token)
            except (DatabaseUnavailable, PoolTimeout, asyncpg.PostgresError):
                out.refused.add(token)
        answer = next(name for name in ("acknowledged", "refused", "unknown") if token in getattr(out, name))
        answers[f"{plan[0]} {plan[1]} commit: {answer}"] += 1

    await asyncio.gather(*(one(plan) for plan in plans))
    await asyncio.gather(*KILLINGS)
    return out, answers


async def verify(dsn: str, out: Outcome) -> list[str]:
    """What is wrong with the ledger, nothing if all is well."""
    connection = await asyncpg.connect(dsn)
    try:
        stored = Counter(row[0] for row in await connection.fetch("select id from transfers"))
        rows = await connection.fetch("select id, balance from accounts")
        balances: dict[int, int] = {row["id"]: row["balance"] for row in rows}
        moved = Counter[int]()
        for debtor, creditor, amount in await connection.fetch("select debtor, creditor, amount from transfers"):
            moved[debtor] -= amount
            moved[creditor] += amount
    finally:
        await connection.close()
    faults = [
        f"acknowledged but there {stored[token]} times: {token}" for token in out.acknowledged if stored[token] != 1
    ]
    faults += [f"refused but there: {token}" for token in out.refused if stored[token]]
    faults += [f"there {times} times: {token}" for token, times in stored.items() if times > 1]
    faults += [f"account {id_} has {balance}" for id_, balance in balances.items() if balance != MONEY + moved[id_]]
    if sum(balances.values()) != ACCOUNTS * MONEY:
        faults.append(f"the accounts hold {sum(balances.values())} in all, not {ACCOUNTS * MONEY}")
    return faults


async def run_ledger(count: int, seed: int) -> tuple[Outcome, Counter[str], list[str]]:
    """Outcome, answers by failure, and faults of a run on a server of its own."""
    server = EmbeddedPostgres(Path(tempfile.mkdtemp(prefix="bindery-ledger-")), keep=False)
    dsn = server.start()
    try:
        # A server of the tests acknowledges before it writes, and may then lose what it acknowledged: not here.
        durable = {"synchronous_commit": "on"}
        control = await asyncpg.connect(dsn, server_settings=durable)
        await control.execute(SCHEMA)
        await control.close()
        async with (
            Network(dsn) as network,
            Database(network.dsn, min_size=2, max_size=6, server_settings=durable) as database,
        ):
            out, answers = await make_transfers(database, Saboteur(server, network, dsn), count, seed)
        return out, answers, await verify(dsn, out)
    finally:
        server.stop()


@click.command(help=__doc__)
@click.option("--count", default=300, show_default=True, help="Transfers, each with one failure.")
@click.option("--seed", default=1, show_default=True, help="Which failures, and when.")
def main(count: int, seed: int) -> None:
    """Print what the callers were told, and whether it is true."""
    out, answers, faults = asyncio.run(run_ledger(count, seed))
    for name, number in sorted(answers.items()):
        click.echo(f"{number:5} {name}")
    click.echo(
        f"seed {seed}: {len(out.acknowledged)} acknowledged, {len(out.refused)} refused, {len(out.unknown)} unknown"
    )
    click.echo("\n".join(faults) or "every one as the callers were told, and no money made or lost")
    raise SystemExit(bool(faults))


if __name__ == "__main__":
    main()
