"""How the contestants are served: by uvicorn with uvloop and httptools in one process, as the service is."""

import sys
from typing import Any

import uvicorn

CONNECTIONS = 16
# As the service sets them: a statement is planned once for each connection.
SERVER_SETTINGS = {"plan_cache_mode": "force_generic_plan", "jit": "off"}


def serve(app: Any, *, names_server: bool = False) -> None:
    """Serve on the port that the command line names, until SIGTERM."""
    uvicorn.run(
        app,
        port=int(sys.argv[1]),
        loop="uvloop",
        http="httptools",
        access_log=False,
        proxy_headers=False,
        server_header=names_server,
        log_level="warning",
    )
