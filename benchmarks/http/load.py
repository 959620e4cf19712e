"""Load from outside: wrk for HTTP, pgbench for the same statement without any service."""

import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import click
from psycopg.conninfo import conninfo_to_dict

from app.db import Queries
from app.embedded import programs
from app.repositories import articles, profiles, tags, users
from benchmarks.http.routes import Route
from benchmarks.http.server import CONNECTIONS, SERVER_SETTINGS

QUERIES: dict[str, Queries] = {
    "articles": articles.queries, "profiles": profiles.queries, "tags": tags.queries, "users": users.queries,
}  # fmt: skip
UNITS = {"us": 1e-3, "ms": 1.0, "s": 1e3, "m": 6e4}


@dataclass(frozen=True, slots=True)
class Load:
    """What one run measured: requests a second, and milliseconds in which half, and 99 %, were answered."""

    rate: float
    p50: float = 0.0
    p99: float = 0.0


def wrk(port: int, route: Route, seconds: float) -> Load:
    """Send the request again and again over 16 connections. Raises ValueError when answers were errors."""
    program = shutil.which("wrk")
    if program is None:
        raise click.ClickException("wrk is not installed; on Debian: apt-get install wrk")
    header = ["--header", f"Authorization: Token {route.token}"] if route.token else []
    whole = max(1, round(seconds))
    command = [program, "--threads", "1", "--connections", str(CONNECTIONS), "--duration", f"{whole}s", "--latency"]
    printed = run([*command, *header, f"http://127.0.0.1:{port}{route.path}"])
    if "Non-2xx" in printed or "Socket errors" in printed:
        raise ValueError(f"{route.path} was answered by errors:\n{printed}")
    rate = re.search(r"Requests/sec:\s+([\d.]+)", printed)
    if rate is None:
        raise ValueError(f"wrk printed no rate:\n{printed}")
    return Load(float(rate[1]), milliseconds(printed, "50%"), milliseconds(printed, "99%"))


def milliseconds(printed: str, share: str) -> float:
    """Return the time in which this share of the requests was answered."""
    found = re.search(rf"^\s+{share}\s+([\d.]+)(us|ms|s|m)$", printed, re.MULTILINE)
    if found is None:
        raise ValueError(f"wrk printed no {share}:\n{printed}")
    return float(found[1]) * UNITS[found[2]]


def pgbench(dsn: str, route: Route, seconds: float) -> Load:
    """Run the route's statement again and again on 16 sessions. It measures no times of the slowest."""
    file, _, name = route.statement.partition(".")
    statement = QUERIES[file].statements[name]
    text = statement.text
    for number, parameter in reversed(list(enumerate(statement.parameters, 1))):
        text = text.replace(f"${number}", "null::bigint" if route.arguments[parameter] is None else f":{parameter}")
    values = [f"--define={name}={value}" for name, value in route.arguments.items() if value is not None]
    address = conninfo_to_dict(dsn)
    with tempfile.TemporaryDirectory(prefix="bindery-") as folder:
        script = Path(folder) / "statement.sql"
        script.write_text(re.sub(r"\s*\n\s*", " ", text) + ";\n")
        command = [
            str(programs() / "pgbench"), "--no-vacuum",
            "--protocol=prepared", f"--client={CONNECTIONS}", "--jobs=1", f"--time={max(1, round(seconds))}",
            f"--file={script}", *values, str(address["dbname"]),
        ]  # fmt: skip
        printed = run(command, address)
    rate = re.search(r"tps = ([\d.]+)", printed)
    if rate is None:
        raise ValueError(f"pgbench printed no rate:\n{printed}")
    return Load(float(rate[1]))


def run(command: list[str], address: Mapping[str, object] | None = None) -> str:
    """Return what the program printed. Raises ValueError when it fails."""
    environment = dict(os.environ)
    if address:
        names = {"host": "PGHOST", "port": "PGPORT", "user": "PGUSER", "password": "PGPASSWORD"}
        environment |= {names[key]: str(value) for key, value in address.items() if key in names}
        environment["PGOPTIONS"] = " ".join(f"-c {name}={value}" for name, value in SERVER_SETTINGS.items())
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        raise ValueError(f"{command[0]} failed:\n{done.stdout}{done.stderr}")
    return done.stdout
