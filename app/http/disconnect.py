"""Cancels the work for clients that have disconnected: servers do not, so a slow query would run to its end."""

import asyncio

from starlette.types import ASGIApp, Message, Receive, Scope, Send

# Reading is what these methods promise (RFC 9110, 9.2.1), so stopping one half way through changes nothing. A handler
# of any other method writes: it runs to its end, even if no client waits for the answer.
READING = frozenset({"GET", "HEAD"})
# Most requests are answered before anyone could go away: a timer costs them next to nothing, a second task would not.
PATIENCE = 0.05


class CancelAbandoned:
    """ASGI middleware that cancels a reading handler, and with it its statement, when the client is gone.

    It starts to watch the client after PATIENCE seconds.
    """

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Run the application until its client disconnects."""
        if scope["type"] != "http" or scope["method"] not in READING:
            await self.app(scope, receive, send)
            return
        request = _Request(receive)
        try:
            await self.app(scope, request.receive, send)
        except asyncio.CancelledError:
            if not request.withdraw_cancellation():
                raise
        finally:
            request.end()


class _Request:
    """The messages of a client, watched when the application has not answered for a while."""

    def __init__(self, receive: Receive) -> None:
        self._receive = receive
        self._messages: asyncio.Queue[Message] | None = None
        self._watcher: asyncio.Task[None] | None = None
        self._receiving = False
        self._abandoned = False
        self._loop = asyncio.get_running_loop()
        self._handler = asyncio.current_task(self._loop)
        self._timer = self._loop.call_later(PATIENCE, self._begin_to_watch)

    async def receive(self) -> Message:
        """Return the next message for the application. Only one call at a time is allowed."""
        if self._messages is not None:
            return await self._messages.get()
        self._receiving = True
        try:
            return await self._receive()
        finally:
            self._receiving = False

    def end(self) -> None:
        """Stop watching."""
        self._timer.cancel()
        if self._watcher is not None:
            self._watcher.cancel()

    def withdraw_cancellation(self) -> bool:
        """Return whether only this request cancelled the handler, and withdraw the cancellation then."""
        return self._abandoned and self._handler is not None and self._handler.uncancel() == 0

    def _begin_to_watch(self) -> None:
        if self._receiving:
            # The application waits for the client itself, and would miss what is taken from it here.
            self._timer = self._loop.call_later(PATIENCE, self._begin_to_watch)
        else:
            self._messages = asyncio.Queue()
            self._watcher = self._loop.create_task(self._watch(self._messages))

    async def _watch(self, messages: asyncio.Queue[Message]) -> None:
        message: Message = {}
        while message.get("type") != "http.disconnect":
            message = await self._receive()
            messages.put_nowait(message)
        if self._handler is not None:
            self._abandoned = True
            self._handler.cancel()
