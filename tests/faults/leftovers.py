"""What is left of requests whose clients went away: a service has to have all its connections again, and idle ones."""

import asyncio
from time import monotonic

import httpx2

from tests.faults.servers import Server

# What was cancelled is over long before, on any machine.
PATIENCE = 60.0
_BUSY = """
    select coalesce(string_agg(coalesce(state, 'starting') || ': ' || left(query, 80), '; '), '')
    from pg_stat_activity
    where backend_type = 'client backend' and state is distinct from 'idle' and pid <> pg_backend_pid()
"""
_FIGURES = {
    "used": 'db_client_connection_count{db_client_connection_state="used"',
    "idle": 'db_client_connection_count{db_client_connection_state="idle"',
    "opening": "bindery_pool_opening{",
    "waiting": "db_client_connection_pending_requests{",
    "least": "db_client_connection_idle_min{",
    "most": "db_client_connection_max{",
}


async def leftovers(address: str, server: Server, workers: int, *, pooled: bool) -> list[str]:
    """Return in words what is left once nobody asks any more: in the server's sessions, and in the service's pools.

    With `pooled` a PgBouncer has few sessions, and a connection is only opened when one of them is free.
    """
    limits = httpx2.Limits(max_connections=None)
    async with httpx2.AsyncClient(base_url=address, timeout=PATIENCE, limits=limits) as client:
        ends = monotonic() + PATIENCE
        while (found := await _left(client, server)) and monotonic() < ends:
            await asyncio.sleep(0.05)
        # Which of several workers gets a request is chance, so that nobody can use up the pool of each.
        return found or (await _missing(client, server, "idle" if pooled else "most") if workers == 1 else [])


async def _left(client: httpx2.AsyncClient, server: Server) -> list[str]:
    busy, pool = await server.execute(_BUSY), await pool_figures(client)
    found = [f"a session is not idle after the clients left: {busy}"] if busy else []
    is_whole = pool["least"] <= pool["idle"] <= pool["most"]
    if not is_whole or pool["used"] or pool["opening"] or pool["waiting"]:
        found.append(f"the pool is not at rest after the clients left: {pool}")
    return found


async def _missing(client: httpx2.AsyncClient, server: Server, which: str) -> list[str]:
    """Let requests hold every connection of those, which they cannot if the pool has lost count of one."""
    most = (await pool_figures(client))[which]
    async with server.locked("articles"):
        requests = [asyncio.create_task(client.get("/api/articles")) for _ in range(most)]
        ends = monotonic() + PATIENCE
        while (used := (await pool_figures(client))["used"]) < most and monotonic() < ends:
            await asyncio.sleep(0.05)
    statuses = {answer.status_code for answer in await asyncio.gather(*requests)}
    found = [] if used == most else [f"of {most} connections only {used} could be used after the clients left"]
    return found if statuses == {200} else [*found, f"then requests were answered {statuses}"]


async def pool_figures(client: httpx2.AsyncClient) -> dict[str, int]:
    """Return the figures of the pools of all workers together, as /metrics has them."""
    lines = (await client.get("/metrics")).text.splitlines()
    return {
        name: sum(int(float(line.rsplit(" ", 1)[1])) for line in lines if line.startswith(start))
        for name, start in _FIGURES.items()
    }
