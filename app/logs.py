"""Log lines in one form, whoever writes them: readable on a terminal, JSON otherwise."""

import logging
import sys
import warnings
from typing import Any, Literal, TextIO

import msgspec
import structlog
from structlog.typing import EventDict, Processor

from app.db import WORK, RepeatedStatement
from app.http.watch import RequestWork

UVICORN = ("uvicorn", "uvicorn.error", "uvicorn.access")
LogFormat = Literal["auto", "console", "json"]
_encode = msgspec.json.Encoder(decimal_format="number", enc_hook=str).encode


def configure_logs(level: str, log_format: LogFormat = "auto", stream: TextIO | None = None) -> None:
    """Write the lines of all loggers and warnings to `stream`, by default stderr, from this level on."""
    out: TextIO = sys.stderr if stream is None else stream  # pyright: ignore[reportAssignmentType] - typeshed
    handler = logging.StreamHandler(out)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[
                structlog.stdlib.add_log_level,
                structlog.stdlib.add_logger_name,
                structlog.processors.TimeStamper("iso", key="time"),
                add_request_id,
            ],
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                *_renderers(out, log_format),
            ],
        )
    )
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(level.upper())
    # It tells each step of each migration.
    logging.getLogger("yoyo").setLevel("INFO" if level == "debug" else "WARNING")
    for name in UVICORN:
        # uvicorn gives its loggers handlers of their own wherever a program lets it.
        logging.getLogger(name).handlers.clear()
        logging.getLogger(name).propagate = True
    logging.captureWarnings(True)
    # By default Python shows a warning once for each place that raises it; these name another place each time.
    warnings.simplefilter("always", RepeatedStatement)


def request_logger(log_format: LogFormat = "auto", stream: TextIO | None = None) -> Any:
    """Return the logger for one line a request, which goes past the slower logging of the standard library."""
    out: TextIO = sys.stderr if stream is None else stream  # pyright: ignore[reportAssignmentType] - typeshed
    text = _is_for_people(out, log_format)
    logger = structlog.PrintLogger(out) if text else structlog.BytesLogger(out.buffer)
    rendered = _renderers(out, log_format) if text else [_json]
    processors: list[Processor] = [structlog.processors.TimeStamper("iso", key="time"), *rendered]
    # Bound now: otherwise each line would make a logger. And of a class with methods: the general one looks for each.
    kind = structlog.make_filtering_bound_logger(logging.INFO)
    return structlog.wrap_logger(logger, processors=processors, wrapper_class=kind).bind()


def add_request_id(_: Any, __: str, event: EventDict) -> EventDict:
    """Add the id of the request in which the line is written."""
    work = WORK.get()
    if isinstance(work, RequestWork):
        event["request"] = work.id
    return event


def _renderers(stream: TextIO, log_format: LogFormat) -> list[Processor]:
    if _is_for_people(stream, log_format):
        plain = structlog.dev.plain_traceback
        return [structlog.dev.ConsoleRenderer(colors=stream.isatty(), exception_formatter=plain, timestamp_key="time")]
    return [structlog.processors.format_exc_info, _json_text]


def _json(_: Any, __: str, event: EventDict) -> bytes:
    return _encode(event)


def _json_text(_: Any, __: str, event: EventDict) -> str:
    return _encode(event).decode()


def _is_for_people(stream: TextIO, log_format: LogFormat) -> bool:
    return log_format == "console" or (log_format == "auto" and stream.isatty())
