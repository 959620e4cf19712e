"""The statement of a route without any service, by pgbench on 16 sessions."""

import re
import tempfile
from collections.abc import Mapping
from pathlib import Path

from psycopg.conninfo import conninfo_to_dict

from app.db import Queries
from app.embedded import programs
from app.repositories import articles, profiles, tags, users
from benchmarks.http.routes import Route
from benchmarks.server import CONNECTIONS, SERVER_SETTINGS
from benchmarks.wrk import Load, run

QUERIES: dict[str, Queries] = {
    "articles": articles.queries, "profiles": profiles.queries, "tags": tags.queries, "users": users.queries,
}  # fmt: skip
VARIABLES = {"host": "PGHOST", "port": "PGPORT", "user": "PGUSER", "password": "PGPASSWORD"}


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
        printed = run(command, environment(address))
    rate = re.search(r"tps = ([\d.]+)", printed)
    if rate is None:
        raise ValueError(f"pgbench printed no rate:\n{printed}")
    return Load(float(rate[1]))


def environment(address: Mapping[str, object]) -> dict[str, str]:
    """Return the variables by which libpq finds the server, with the settings of the service's sessions."""
    found = {VARIABLES[key]: str(value) for key, value in address.items() if key in VARIABLES}
    return {**found, "PGOPTIONS": " ".join(f"-c {name}={value}" for name, value in SERVER_SETTINGS.items())}
