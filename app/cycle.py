"""How an answer is written to its connection."""

from typing import Any

from uvicorn.protocols.http.httptools_impl import STATUS_LINE, RequestResponseCycle

# Statuses whose answers have a body.
_PLAIN = frozenset({*range(200, 600)} - {204, 304})


class Answer(RequestResponseCycle):
    """uvicorn's cycle, which sends an answer whose length is known in one piece.

    It looks at each header by two regular expressions, and sends head and body by two system calls, which together
    take as long as the query behind the answer. Whatever is not plain goes uvicorn's way.
    """

    _held: Any = None

    async def send(self, message: Any) -> None:
        """Keep the head until the body comes, which it does at once, and send both."""
        held, self._held = self._held, None
        # A second head is that of the 500 for an application that ended without a body.
        if held is not None and message["type"] != "http.response.start":
            if self._is_plain(held, message):
                self._send_whole(held, message.get("body", b""))
                return
            await super().send(held)
        elif not self.response_started and _has_length(message):
            self._held = message
            return
        await super().send(message)

    def _is_plain(self, head: Any, message: Any) -> bool:
        """Return whether nothing about this answer is special: neither the client, nor the method, nor a header."""
        names, values = (b"".join(parts) for parts in zip(*head["headers"], strict=True))
        return (
            not message.get("more_body")
            and len(message.get("body", b"")) == int(head["headers"][0][1])
            and self.keep_alive
            and not (self.disconnected or self.flow.write_paused)
            and self.scope["method"] != "HEAD"
            and head["status"] in _PLAIN
            and not (b"\r" in names + values or b"\n" in names + values)
            and names == names.lower()
            and b"connection" not in names
        )

    def _send_whole(self, head: Any, body: bytes) -> None:
        lines = [b"%s: %s\r\n" % header for header in (*self.default_headers, *head["headers"])]
        self.transport.write(b"".join([STATUS_LINE[head["status"]], *lines, b"\r\n", body]))
        self.response_started = self.response_complete = True
        self.waiting_for_100_continue = False
        self.message_event.set()
        self.on_response()


def _has_length(message: Any) -> bool:
    headers = message.get("headers")
    return bool(headers) and headers[0][0] == b"content-length"
