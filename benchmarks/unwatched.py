"""The service without any measuring of itself, for benchmarks.telemetry.

python -m benchmarks.unwatched PORT
"""

import os
import sys
from typing import Any

from app.db.session.prepared import Prepared
from app.http.watch import RequestWork, RouteFigures
from app.http.watched import Watched
from app.main import create_app
from app.serve import bind, run
from app.settings import load_settings

WORK = RequestWork(RouteFigures("", ""), {}, "", 0)


def finish(self: Any, records: Any, tag: bytes, *_: object) -> list[Any]:
    """Return the rows of a statement, uncounted."""
    return self.rows(records, tag)


def begin(*_: object) -> RequestWork:
    """Return the same work for all requests."""
    return WORK


def nothing(*_: object) -> tuple[()]:
    """Return no headers, and count nothing."""
    return ()


def main() -> None:
    """Serve, with everything that counts replaced by as little as possible."""
    for owner, name, function in (
        (Prepared, "finish", finish), (Watched, "begin", begin), (Watched, "headers", nothing),
        (Watched, "end", nothing),
    ):  # fmt: skip
        setattr(owner, name, function)
    os.environ["PORT"] = sys.argv[1]
    settings = load_settings()
    with bind(settings.host, settings.port) as listener:
        run(create_app(settings), listener, settings)


if __name__ == "__main__":
    main()
