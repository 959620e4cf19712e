"""HTTP/1.1 by uvicorn and httptools, with limits that they lack, and with offers of Upgrade ignored."""

from asyncio import BaseTransport, Transport
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, cast

import httptools
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

from app.cycle import Answer
from app.http.refusals import REFUSALS
from app.invalid import NO_TUNNEL, NOT_HTTP, NOT_HTTP_1, TOO_MANY, Refusal
from app.turning_away import TurningAway, is_short

# Requests that a client may send before the answer to the first; one more and the rest of what it sends is dropped.
LONGEST_PIPELINE = 100
# Seconds in which a refused client may end its request: closed at once, it would often not see why it was refused.
LINGER = 2.0
# Seconds in which an idle client may still send a request when the server ends: closed at once, it would get no answer
# to one that was on its way. Those who ask often are told by the answer to close.
LAST_CALL = 1.0
# RFC 9110, 7.8: a server may ignore Upgrade, and goes on in HTTP/1.1.
_OFFER = frozenset({b"upgrade", b"http2-settings"})
_NO_TIME = float("inf")


@dataclass(frozen=True, slots=True)
class Limits:
    """The limits for clients, in bytes, connections and seconds.

    `head_timeout`, `body_timeout`: to send the head, or the body, of a request as a whole. `send_timeout`: without
    reading anything of an answer. `idle_timeout`: without a next request.
    """

    connections: int
    head_bytes: int
    head_timeout: float
    body_timeout: float
    send_timeout: float
    idle_timeout: float


class HttpProtocol(HttpToolsProtocol):
    """One connection. The server calls check_time() about once a second: no request pays for a timer of its own."""

    def __init__(self, limits: Limits, turning_away: TurningAway, **arguments: Any) -> None:
        super().__init__(**arguments)
        self._limits = limits
        self._turning_away = turning_away
        self._is_turned_away = False
        self._requests = 0
        self._head_bytes = 0
        self._reads_head = True
        self._is_whole = True
        self._drained = 0
        self._refusal: Refusal | None = None
        self._is_refused = False
        self._is_ending = False
        self._running: RequestResponseCycle | None = None
        self._waits_for: Sequence[object] = ()
        self._waits_since = 0.0

    def connection_made(self, transport: BaseTransport) -> None:
        """Serve the client, or refuse it if there are too many."""
        super().connection_made(cast("Transport", transport))
        if len(self.connections) > self._limits.connections:
            most = self._limits.connections
            REFUSALS.add("connections", f"{most} connections of clients are open, as many as allowed")
            self._write(TOO_MANY)
            self.transport.close()

    def data_received(self, data: bytes) -> None:
        """Read on. Refuse an invalid request, and read nothing after it."""
        self._unset_keepalive_if_required()
        if self._is_refused:
            return
        request = self._requests
        try:
            self._feed(data)
            if self._reads_head and request == self._requests:
                # The parser gathers a header until it ends. The chunk in which a head begins or ends does not count:
                # what else is in it may be another request's.
                self._head_bytes += len(data)
                self._check_head(self._head_bytes)
        except httptools.HttpParserError:
            self._refuse(self._refusal or NOT_HTTP)
        if self._is_ending and self._running is not None:
            self.cycle.keep_alive = False

    def shutdown(self) -> None:
        """Let the next answer, to a request that came or comes within a moment, be the last, and say so in it."""
        self._is_ending = True
        if self._running is not None:
            self.cycle.keep_alive = False
        self.loop.call_later(LAST_CALL, self._end_unless_works)

    def _end_unless_works(self) -> None:
        if not self._works():
            self.transport.close()

    def resume_writing(self) -> None:
        """Continue the answer: the client has read enough of it."""
        self._drained += 1
        super().resume_writing()

    def _feed(self, data: bytes) -> None:
        while True:
            try:
                self.parser.feed_data(data)
            except httptools.HttpParserUpgrade as upgrade:
                # The parser treats what follows as another protocol, even if the server declines the offer.
                data = self._without_offer() + data[upgrade.args[0] :]
            else:
                return

    def _without_offer(self) -> bytes:
        """The head that was just read, without what would make the parser stop after it; a new parser reads it."""
        line = b"%s %s HTTP/%s\r\n" % (self.parser.get_method(), self.url, self.parser.get_http_version().encode())
        kept = [b"%s: %s\r\n" % header for header in self.headers if header[0] not in _OFFER]
        self.parser = httptools.HttpRequestParser(self)
        self.parser.set_dangerous_leniencies(lenient_data_after_close=True)
        return b"".join([line, *kept, b"\r\n"])

    # Callbacks of the parser

    def on_message_begin(self) -> None:
        """Note the first byte of a request."""
        if len(self.pipeline) >= LONGEST_PIPELINE:
            raise self._error(Refusal(429, "request", "came before the answers to many others"))
        self._requests += 1
        self._head_bytes = 0
        self._reads_head, self._is_whole = True, False
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        """Note the end of a request's head."""
        self._check_head(len(self.url) + sum(len(name) + len(value) for name, value in self.headers))
        if self.parser.get_http_version() not in {"1.0", "1.1"}:
            raise self._error(NOT_HTTP_1)
        if not self.parser.should_upgrade():
            self._reads_head = False
            if not self._unanswered(but_this=False) and self._turning_away.refuses(self.url):
                self._turn_away()
            else:
                super().on_headers_complete()
        elif self.parser.get_method() == b"CONNECT":
            raise self._error(NO_TUNNEL)

    def on_body(self, body: bytes) -> None:
        """Take a part of the body, which is thrown away if the request was turned away."""
        if not self._is_turned_away:
            super().on_body(body)

    def on_message_complete(self) -> None:
        """Note the last byte of a request."""
        if not self.parser.should_upgrade():
            self._is_whole = True
            if not self._is_turned_away:
                super().on_message_complete()
            self._is_turned_away = False

    def on_response_complete(self) -> None:
        """Begin the next request, if it came already. check_time() replaces the timer that uvicorn would set."""
        self.server_state.total_requests += 1
        if not self.transport.is_closing():
            self.flow.resume_reading()
            if self.pipeline:
                self._start_asgi_task(*self.pipeline.pop())

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: Any) -> None:
        self._running = cycle
        cycle.__class__ = Answer
        if self._turning_away.counts(cycle.scope["path"]):
            # For Admission.ended().
            scope: dict[str, Any] = cast("dict[str, Any]", cycle.scope)
            scope["arrived_at"] = self._turning_away.admission.began()
        super()._start_asgi_task(cycle, app)

    # Limits

    def check_time(self, now: float) -> None:
        """Close the connection if its client was silent for too long. `now` is the loop's time in seconds."""
        waits_for, limit = self._waiting()
        if waits_for != self._waits_for:
            self._waits_for, self._waits_since = waits_for, now
        elif now - self._waits_since >= limit:
            self._give_up(waits_for[0], limit)

    def _waiting(self) -> tuple[Sequence[object], float]:
        """What the client has to do next, which changes whenever it does it, and how many seconds it may take."""
        unread = self.transport.get_write_buffer_size()
        if unread:
            return ("read", unread, self._drained), self._limits.send_timeout
        works = self._works()
        if self.transport.is_closing() or (self._is_refused and not works):
            return ("end",), LINGER
        if self._reads_head:
            return ("head", self._requests, works), _NO_TIME if works else self._limits.head_timeout
        if not self._is_whole:
            # Where reading is paused, the client waits for the application.
            paused = self.flow.read_paused
            return ("body", self._requests, paused), _NO_TIME if paused else self._limits.body_timeout
        return ("idle", self._requests, works), _NO_TIME if works else self._limits.idle_timeout

    def _give_up(self, waits_for: object, limit: float) -> None:
        if waits_for == "head" and self._requests:
            self._refuse(Refusal(408, "request", f"was not sent within {limit:g} seconds"))
        elif waits_for == "body" and (self._is_turned_away or not self.cycle.response_started):
            self._refuse(Refusal(408, "body", f"was not sent within {limit:g} seconds"))
        elif waits_for in {"head", "idle"}:
            self.transport.close()
        else:
            self.transport.abort()

    def _works(self) -> bool:
        """Return whether the application has a request to answer, to a client that is there."""
        running = self._running
        return running is not None and not (running.response_complete or running.disconnected)

    def _check_head(self, size: int) -> None:
        if size > self._limits.head_bytes:
            raise self._error(Refusal(431, "headers", f"are longer than {self._limits.head_bytes} bytes"))

    # Refusals

    def _turn_away(self) -> None:
        """Refuse a request of which only the head was read, and read on, unless its body is long."""
        closes = self._is_ending or not (self.parser.should_keep_alive() and is_short(self.headers))
        method, more = self.parser.get_method(), self.server_state.default_headers
        self.transport.write(self._turning_away.answer(method, self.headers, more, closes=closes))
        self._is_turned_away = True
        if closes:
            self._is_refused = True
            self.transport.write_eof()

    def _error(self, refusal: Refusal) -> httptools.HttpParserError:
        self._refusal = refusal
        return httptools.HttpParserError(refusal.problem)

    def _refuse(self, refusal: Refusal) -> None:
        """Answer earlier requests, then refuse this one with the reason, and close."""
        self._is_refused = True
        if self._is_turned_away:
            # It has its answer.
            self.transport.close()
            return
        is_body = not self._is_whole and not self._reads_head
        asked = self._unanswered(but_this=is_body)
        if asked is not None:
            # An answer out of turn would be taken for that of another request.
            asked.keep_alive = False
            return
        if is_body:
            # A later answer of the application is not sent: it would never see the end of the request.
            self.cycle.disconnected = True
            self.cycle.message_event.set()
            if self.cycle.response_started:
                self.transport.close()
                return
        self._write(refusal)
        self.transport.write_eof()

    def _unanswered(self, *, but_this: bool) -> RequestResponseCycle | None:
        """The last request that is to be answered, None for none; with `but_this` the one being read is not."""
        if but_this and self.pipeline:
            self.pipeline.popleft()
            but_this = False
        if self.pipeline:
            return self.pipeline[0][0]
        return None if but_this or not self._works() else self._running

    def _write(self, refusal: Refusal) -> None:
        self.transport.write(refusal.answer(self.server_state.default_headers))
