"""The service that is put under load, as a process with short limits."""

import asyncio
import json
import re
import signal
import subprocess
import sys
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from tests.processes import ROOT, TIMEOUT, environment

# A request waits at most for a connection, then for a statement; both in seconds.
SETTINGS = {
    "SECRET_KEY": "x" * 40,
    "PORT": "0",
    "LOG_LEVEL": "error",
    "DB_STATEMENT_TIMEOUT": "2",
    "DB_POOL_TIMEOUT": "2",
    "DB_CONNECT_TIMEOUT": "2",
    "SHUTDOWN_TIMEOUT": "5",
}
# Python runs it before the service, so that names are those of a file.
_RESOLVER = """
import sys
from pathlib import Path
sys.path.append({root!r})
from tests.resolver import resolve_by_file
resolve_by_file(Path({names!r}))
"""


class ServiceProcess:
    """A service at `address`, one process or several."""

    def __init__(self, process: subprocess.Popen[bytes], address: str) -> None:
        self.process = process
        self.address = address

    def workers(self) -> list[int]:
        """Return the process numbers of the workers."""
        found = subprocess.run(
            ["pgrep", "-P", str(self.process.pid), "-f", "app.worker"], capture_output=True, text=True, check=False
        )
        return [int(each) for each in found.stdout.split()]

    async def stop(self) -> None:
        """Stop it by SIGTERM."""
        self.process.send_signal(signal.SIGTERM)
        await asyncio.to_thread(self.process.wait, TIMEOUT)


@asynccontextmanager
async def service(dsn: str, *, workers: int = 1, names: str = "", **settings: str) -> AsyncGenerator[ServiceProcess]:
    """Migrate the database and serve it during the block. `names` is a file for tests/resolver.py."""
    with TemporaryDirectory(prefix="bindery-faults-") as folder:
        log = Path(folder) / "log"
        if names:
            (Path(folder) / "sitecustomize.py").write_text(_RESOLVER.format(root=str(ROOT), names=names))
            settings["PYTHONPATH"] = folder
        variables = environment(**{**SETTINGS, "DATABASE_URL": dsn, **settings})
        command = [sys.executable, "-m", "app", "serve", "--migrate", "--workers", str(workers)]
        with log.open("wb") as errors:
            process = subprocess.Popen(command, cwd=folder, env=variables, stdout=subprocess.PIPE, stderr=errors)
        try:
            assert process.stdout is not None
            line = (await asyncio.to_thread(process.stdout.readline)).decode()
            address = re.search(r"http://127\.0\.0\.1:\d+", line)
            assert address, log.read_text()
            yield ServiceProcess(process, address[0])
        finally:
            process.terminate()
            await asyncio.to_thread(process.wait, TIMEOUT)
            if process.stdout is not None:
                process.stdout.close()
            tell_crashes(log)


def tell_crashes(log: Path) -> None:
    """Print the error behind each 500: its client was told that the log has it."""
    for line in log.read_text().splitlines():
        exception = json.loads(line).get("exception") if line.startswith("{") else None
        if exception:
            print(exception.strip().splitlines()[-1], file=sys.stderr)


async def migrate(dsn: str, command: str) -> None:
    """Run `python -m app migrate COMMAND`."""
    arguments = [sys.executable, "-m", "app", "migrate", command]
    variables = environment(DATABASE_URL=dsn)
    await asyncio.to_thread(subprocess.run, arguments, env=variables, check=True, stdout=subprocess.DEVNULL)
