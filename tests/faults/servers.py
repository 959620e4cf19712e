"""PostgreSQL servers that die, are promoted and follow each other: the embedded one, each on a port of its own."""

import asyncio
import os
import re
import shutil
import subprocess
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import asyncpg
import psutil

from app.embedded import programs
from benchmarks.processes import free_port
from tests.faults.disk import with_disk

# A process that is killed loses nothing that the kernel has: no write need wait for the disk.
OPTIONS = {
    "fsync": "off",
    "synchronous_commit": "on",
    "max_connections": "60",
    "wal_keep_size": "256MB",
    "hot_standby": "on",
    "shared_buffers": "32MB",
    "log_connections": "on",
    "log_line_prefix": "'%n '",
}
_CONNECTED = re.compile(r"^([\d.]+) .*connection authorized.*application_name=bindery", re.MULTILINE)
USER = "postgres"
# Has TLS, which the embedded server lacks.
DEBIAN = Path("/usr/lib/postgresql/15/bin")


class Server:
    """A server with its data in `folder`. Everything here waits until it is done.

    With `tls` it is Debian's, which can encrypt. With `disk` it has a second disk of so many megabytes, at
    `disk_folder`, which it loses when it ends.
    """

    def __init__(
        self, folder: Path, name: str, host: str = "127.0.0.1", port: int = 0, *, disk: int = 0, tls: bool = False
    ) -> None:
        self.data = folder / name
        self.disk_folder = folder / f"{name}-disk"
        self.host = host
        self.port = port or free_port()
        self._disk = disk
        self.owner = "nobody" if os.geteuid() == 0 else None
        self._programs = DEBIAN if tls else programs()

    def address(self, database: str = "postgres") -> str:
        """The URL of a database of this server alone."""
        return f"postgresql://{USER}@{self.host}:{self.port}/{database}"

    async def create(self) -> None:
        """Make an empty database cluster and start it."""
        self._own(self.data.parent)
        if self._disk:
            self._own(self.disk_folder)
        options = ["--username", USER, "--auth=trust", "--no-sync", "--encoding=UTF8", "--locale=C"]
        await self._run("initdb", "-D", self.data, *options)
        await self.start()

    async def follow(self, primary: "Server") -> None:
        """Copy the primary and start as its synchronous standby."""
        shutil.rmtree(self.data, ignore_errors=True)
        source = f"host={primary.host} port={primary.port} user={USER} application_name=standby"
        await self._run("pg_basebackup", "-D", self.data, "-d", source, "-R", "-X", "stream", "-c", "fast", "--no-sync")
        await self.start()
        await primary.require_standby(on=True)

    def ask_for_password(self, user: str) -> None:
        """From the next reload on, let this user in by a password only."""
        rules = self.data / "pg_hba.conf"
        rules.write_text(f"host all {user} all scram-sha-256\n{rules.read_text()}")

    async def use_tls(self) -> None:
        """Encrypt from now on, by the certificate in server.crt."""
        await self.execute("alter system set ssl = on")
        await self.reload()

    async def reload(self) -> None:
        """Have the server read its files again, and wait until it has."""
        before = await self.execute("select pg_conf_load_time()")
        await self.execute("select pg_reload_conf()")
        while await self.execute("select pg_conf_load_time()") == before:
            await asyncio.sleep(0.01)

    async def return_to(self, primary: "Server") -> None:
        """Start again as a standby of the server that is promoted next, after this one was stopped cleanly."""
        signal_file = self.data / "standby.signal"
        signal_file.touch()
        if self.owner:
            shutil.chown(signal_file, self.owner)
        source = f"host={primary.host} port={primary.port} user={USER} application_name=standby"
        with (self.data / "postgresql.auto.conf").open("a") as settings:
            settings.write(f"synchronous_standby_names = ''\nprimary_conninfo = '{source}'\n")
        await self.start()

    async def remove(self) -> None:
        """End the server, and delete its data."""
        await self.kill()
        shutil.rmtree(self.data, ignore_errors=True)
        Path(f"{self.data}.log").unlink(missing_ok=True)
        if self._disk:
            self.disk_folder.rmdir()

    async def require_standby(self, *, on: bool) -> None:
        """Acknowledge a commit only when the standby has it, or without it."""
        names = "*" if on else ""
        await self.execute(f"alter system set synchronous_standby_names = '{names}'")
        await self.execute("select pg_reload_conf()")
        while on and not await self.execute("select 1 from pg_stat_replication where sync_state = 'sync'"):
            await asyncio.sleep(0.02)

    async def promote(self) -> None:
        """Make a standby the primary, which waits for no standby."""
        await self._run("pg_ctl", "promote", "-w", "-D", self.data)
        await self.require_standby(on=False)

    async def start(self) -> None:
        """Start, and return when it takes connections."""
        options = " ".join(f"-c {name}={value}" for name, value in OPTIONS.items())
        options += f" -c listen_addresses={self.host} -c port={self.port} -c unix_socket_directories=''"
        log = str(self.data) + ".log"
        await self._run("pg_ctl", "start", "-w", "-D", self.data, "-l", log, "-o", options, has_disk=bool(self._disk))

    async def stop(self) -> None:
        """Stop cleanly: what was written reaches the standby first."""
        await self._run("pg_ctl", "stop", "-w", "-m", "fast", "-D", self.data)

    def processes(self) -> list[psutil.Process]:
        """Return the processes of the server, its main one first; none if it does not run."""
        try:
            main = psutil.Process(int((self.data / "postmaster.pid").read_text().partition("\n")[0]))
            return [main, *main.children()]
        except (FileNotFoundError, psutil.NoSuchProcess):
            return []

    def connects(self) -> list[float]:
        """Return the moments when the service connected, in seconds, in order."""
        log = Path(f"{self.data}.log")
        return [float(moment) for moment in _CONNECTED.findall(log.read_text())] if log.exists() else []

    async def kill(self) -> None:
        """End the server and all its processes by SIGKILL, if it runs."""
        processes = self.processes()
        for process in processes:
            with suppress(psutil.NoSuchProcess):
                process.kill()
        # As long as one of them is there, the data cannot be used again.
        await asyncio.to_thread(psutil.wait_procs, processes, 10)

    async def execute(self, sql: str, database: str = "postgres") -> object:
        """Run SQL and return its first value."""
        connection = await asyncpg.connect(
            self.address(database), timeout=10, server_settings={"idle_session_timeout": "0"}
        )
        try:
            return await connection.fetchval(sql)
        finally:
            await connection.close()

    async def lock(self, table: str, seconds: float) -> None:
        """Lock a table against everything for so many seconds."""
        async with self.locked(table):
            await asyncio.sleep(seconds)

    @asynccontextmanager
    async def locked(self, table: str) -> AsyncGenerator[None]:
        """Lock a table against everything during the block."""
        connection = await asyncpg.connect(self.address(), timeout=10)
        try:
            async with connection.transaction():
                await connection.execute(f"lock table {table}")
                yield
        finally:
            await connection.close()

    async def limit_memory(self, limit: str) -> None:
        """Let the processes that serve clients now have so many bytes of memory; what they have already they keep."""
        commands = ""
        for process in self.processes():
            with suppress(psutil.NoSuchProcess):
                # Others, such as the checkpointer, are the server itself.
                if f" {self.host}(" in " ".join(process.cmdline()):
                    commands += f"prlimit --pid {process.pid} --as={limit}:;"
        # By their own user, which may do so always. One that has ended meanwhile needs no limit.
        await asyncio.to_thread(subprocess.run, ["sh", "-c", commands], user=self.owner, stderr=subprocess.DEVNULL)

    @asynccontextmanager
    async def filled(self) -> AsyncGenerator[None]:
        """End all sessions of others, and hold every connection that the server has during the block."""
        held: list[Any] = []
        try:
            control = await asyncpg.connect(self.address())
            held.append(control)
            for _ in range(int(OPTIONS["max_connections"]) * 2):
                await control.execute(
                    "select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'bindery'"
                )
                with suppress(asyncpg.TooManyConnectionsError):
                    held.append(await asyncpg.connect(self.address(), timeout=5))
                    continue
                break
            yield
        finally:
            for connection in held:
                await connection.close()

    def _own(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        if self.owner:
            shutil.chown(folder, self.owner)
            for each in (folder, *folder.parents):
                each.chmod(each.stat().st_mode | 0o011)

    async def _run(self, program: str, *arguments: str | Path, has_disk: bool = False) -> None:
        command, user = [self._programs / program, *arguments], self.owner
        if has_disk:
            command, user = with_disk(command, self.disk_folder, self._disk, self.owner), None

        def run() -> None:
            subprocess.run(
                command, check=True, cwd="/", user=user, start_new_session=True,
                stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, timeout=60,
            )  # fmt: skip

        await asyncio.to_thread(run)
