"""Exports: answers of any length, sent while the rows are read."""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Generator
from contextlib import AbstractAsyncContextManager, contextmanager
from typing import Generic, TypeVar

from starlette.responses import StreamingResponse
from starlette.types import Send

from app.http.errors import TryLater

logger = logging.getLogger("app.http")

CHUNK_BYTES = 64 * 1024
Row = TypeVar("Row")


class Exports:
    """The running exports. Each holds a connection as long as its client reads.

    At most `limit` run at once, so that the other routes have connections. `read_timeout` is how many seconds a client
    may take for each CHUNK_BYTES.
    """

    def __init__(self, limit: int, read_timeout: float) -> None:
        self.limit = limit
        self.read_timeout = read_timeout
        self.running = 0

    @contextmanager
    def one_more(self) -> Generator[None]:
        """Count an export for the block. Raises TryLater when `limit` exports are running."""
        if self.running >= self.limit:
            raise TryLater("export", f"is run by {self.limit} others already, as many as may; try again in a moment")
        self.running += 1
        try:
            yield
        finally:
            self.running -= 1


class Export(StreamingResponse, Generic[Row]):
    """The rows of a stream as text, in constant memory. It ends with its client; one who does not read is dropped."""

    def __init__(
        self,
        exports: Exports,
        stream: AbstractAsyncContextManager[AsyncIterator[Row]],
        header: bytes,
        line: Callable[[Row], bytes],
        headers: dict[str, str],
    ) -> None:
        super().__init__((), headers=headers)
        self._exports = exports
        self._stream = stream
        self._header = header
        self._line = line

    async def stream_response(self, send: Send) -> None:
        """Send the export. An error in the statement is raised before the answer begins."""
        try:
            with self._exports.one_more():
                await self._send_rows(send)
        except TimeoutError:
            # The missing end of the answer tells the client that it is incomplete.
            logger.warning(
                "an export was dropped: its client took more than %g seconds for a part", self._exports.read_timeout
            )
            return
        await send({"type": "http.response.body", "body": b"", "more_body": False})

    async def _send_rows(self, send: Send) -> None:
        async with self._stream as rows:
            await send({"type": "http.response.start", "status": 200, "headers": self.raw_headers})
            async for chunk in self._chunks(rows):
                async with asyncio.timeout(self._exports.read_timeout):
                    await send({"type": "http.response.body", "body": chunk, "more_body": True})

    async def _chunks(self, rows: AsyncIterator[Row]) -> AsyncIterator[bytes]:
        chunk = bytearray(self._header)
        async for row in rows:
            chunk += self._line(row)
            while len(chunk) >= CHUNK_BYTES:
                yield bytes(chunk[:CHUNK_BYTES])
                del chunk[:CHUNK_BYTES]
        yield bytes(chunk)
