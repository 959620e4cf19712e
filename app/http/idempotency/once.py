"""Answers requests with an Idempotency-Key: the write and its answer are stored in one transaction, or neither is.

The handler runs in a transaction that `database(request)` returns, so it needs no change. Before it, an advisory lock
of the transaction tells whether the key is in use, and a look at the table whether it was used. The row of the answer
is written after it, before COMMIT: it is there exactly if the write is. If the connection is lost at COMMIT, the next
request with the key is refused until the server has ended the old transaction; then it finds the row, or runs the
handler. Nothing is kept in this process, so any number of them may serve the same client.

Answers with 4xx and 5xx are not kept, because their transaction is rolled back: there is nothing that could happen
twice, and a client that mends its request may use the key again.
"""

import logging
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Message

from app.db import CommitUnknown, Connection
from app.http.errors import Invalid, TryLater
from app.http.idempotency.key import HEADER, fingerprint, sent_key
from app.http.idempotency.store import CreateAnswer, FindAnswer, Kept, TryLock
from app.http.operations import Operation
from app.http.requests import read_bytes, require_viewer, required_viewer, service_database

logger = logging.getLogger("app.http")

LONGEST_ANSWER = 1_048_576  # bytes of the body
REPLAYED = (b"idempotent-replayed", b"true")
_REUSED = "was used for another request; take a new key for each request"
_IN_USE = "is in use: the first request with it is not answered yet"
_UNKNOWN = "the change may be stored or not; repeat the request with the same key to get its answer"


class Once:
    """Handles the operations that take a key; these functions read and write the keys."""

    def __init__(self, try_lock: TryLock, find_answer: FindAnswer, create_answer: CreateAnswer) -> None:
        self._try_lock = try_lock
        self._find_answer = find_answer
        self._create_answer = create_answer

    async def handle(self, request: Request) -> Response:
        """Return the answer that is stored for the key; otherwise run the handler, and store its answer with its write.

        Raises Invalid for a key of another request, and for an answer that cannot be kept; TryLater for a key in use,
        and after a COMMIT without answer; RequestError as sent_key() and read_bytes() do. Nothing is stored then,
        except maybe by that COMMIT.
        """
        user, key = required_viewer(request).id, sent_key(request)
        # Before a connection is taken: clients may be slow.
        body = await read_bytes(request)
        write = _Write(request, body, user, key, fingerprint(request, body))
        try:
            done = await self._kept_or_new(write)
        except _Refused as refused:
            return refused.response
        except CommitUnknown as error:
            raise _unknown(error) from error
        return done if isinstance(done, Response) else await _repeated(write, done)

    async def _kept_or_new(self, write: "_Write") -> Kept | Response:
        """Return the answer that is stored, or that of the handler once it is committed."""
        # At a higher level all statements would share the snapshot of the first, which may be older than the lock.
        async with service_database(write.request).transaction(isolation="read_committed") as tx:
            if not await self._try_lock(tx, user_id=write.user, key=write.key):
                raise TryLater(HEADER, _IN_USE, 409)
            kept = await self._find_answer(tx, user_id=write.user, key=write.key)
            return kept or await self._run(tx, write)

    async def _run(self, tx: Connection, write: "_Write") -> Response:
        operation: Operation = write.request.scope["operation"]
        scope = {**write.request.scope, "transaction": tx}
        response = await operation.handler(Request(scope, _received(write)))
        if response.status_code >= 400:
            raise _Refused(response)
        if problem := _why_not_kept(response):
            raise Invalid({HEADER: [f"cannot be used here, and nothing was stored: {problem}"]})
        await self._create_answer(
            tx,
            user_id=write.user,
            key=write.key,
            fingerprint=write.fingerprint,
            status=response.status_code,
            headers=_lines(response),
            body=bytes(response.body),
        )
        return response


@dataclass(frozen=True, slots=True)
class _Write:
    """A request with a key, and its body."""

    request: Request
    body: bytes
    user: int
    key: str
    fingerprint: bytes


class _Refused(Exception):
    """The handler returned a refusal: it rolls the transaction back."""

    def __init__(self, response: Response) -> None:
        self.response = response


def _unknown(error: CommitUnknown) -> TryLater:
    logger.error("answered 503: %s", error)
    return TryLater(HEADER, _UNKNOWN)


def _received(write: _Write) -> Callable[[], Coroutine[Any, Any, Message]]:
    """Return `receive` for the handler: the body that was read, and then what else the client sends."""
    messages: list[Message] = [{"type": "http.request", "body": write.body, "more_body": False}]

    async def receive() -> Message:
        return messages.pop() if messages else await write.request.receive()

    return receive


def _why_not_kept(response: Response) -> str | None:
    """Return why an answer cannot be stored, or None. A token in an answer must not outlive the request."""
    if not hasattr(response, "body"):
        return "the answer is a stream"
    names = {name for name, _ in response.raw_headers}
    if b"set-cookie" in names or "no-store" in response.headers.get("cache-control", ""):
        return "the answer must not be stored"
    if len(response.body) > LONGEST_ANSWER:
        return f"the answer is longer than {LONGEST_ANSWER} bytes"
    return None


def _lines(response: Response) -> str:
    return "\n".join(f"{name}: {value}" for name, value in response.headers.items() if name != "content-length")


async def _repeated(write: _Write, kept: Kept) -> Response:
    """Return the stored answer. Raises Invalid when it is to another request, or as require_viewer() does."""
    if kept.fingerprint != write.fingerprint:
        raise Invalid({HEADER: [_REUSED]})
    # The handler did not run, and it is its statements that look whether the user still exists.
    await require_viewer(write.request)
    response = Response(kept.body, kept.status)
    pairs = [line.partition(": ") for line in kept.headers.split("\n") if line]
    response.raw_headers += [(name.encode("latin-1"), value.encode("latin-1")) for name, _, value in pairs]
    response.raw_headers.append(REPLAYED)
    return response
