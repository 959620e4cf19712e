"""Load from outside, by wrk, over 16 connections."""

import os
import re
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass

import click

from benchmarks.server import CONNECTIONS

UNITS = {"us": 1e-3, "ms": 1.0, "s": 1e3, "m": 6e4}


@dataclass(frozen=True, slots=True)
class Load:
    """What one run measured: requests a second, and milliseconds in which half, and 99 %, were answered."""

    rate: float
    p50: float = 0.0
    p99: float = 0.0


def wrk(port: int, path: str, seconds: float, token: str | None = None) -> Load:
    """Send the request again and again over 16 connections. Raises ValueError when answers were errors."""
    program = shutil.which("wrk")
    if program is None:
        raise click.ClickException("wrk is not installed; on Debian: apt-get install wrk")
    header = ["--header", f"Authorization: Token {token}"] if token else []
    whole = max(1, round(seconds))
    command = [program, "--threads", "1", "--connections", str(CONNECTIONS), "--duration", f"{whole}s", "--latency"]
    printed = run([*command, *header, f"http://127.0.0.1:{port}{path}"])
    if "Non-2xx" in printed or "Socket errors" in printed:
        raise ValueError(f"{path} was answered by errors:\n{printed}")
    rate = re.search(r"Requests/sec:\s+([\d.]+)", printed)
    if rate is None:
        raise ValueError(f"wrk printed no rate:\n{printed}")
    return Load(float(rate[1]), milliseconds(printed, "50%"), milliseconds(printed, "99%"))


def milliseconds(printed: str, share: str) -> float:
    """Return the time in which this share of the requests was answered."""
    found = re.search(rf"^\s+{share}\s+([\d.]+)(us|ms|s|m)\s*$", printed, re.MULTILINE)
    if found is None:
        raise ValueError(f"wrk printed no {share}:\n{printed}")
    return float(found[1]) * UNITS[found[2]]


def run(command: list[str], settings: Mapping[str, str] | None = None) -> str:
    """Return what the program printed, run with these environment variables. Raises ValueError when it fails."""
    done = subprocess.run(command, env={**os.environ, **(settings or {})}, capture_output=True, text=True, check=False)
    if done.returncode:
        raise ValueError(f"{command[0]} failed:\n{done.stdout}{done.stderr}")
    return done.stdout
