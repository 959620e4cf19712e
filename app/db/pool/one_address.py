"""Sends the driver to one address of a name: it takes no address beside the name, which TLS needs."""

from asyncio import AbstractEventLoop
from typing import Any


class OneAddress:
    """The event loop of a connection, where every name is this one address.

    The request that cancels a statement goes to the same address, as the connection keeps this loop.
    """

    def __init__(self, loop: AbstractEventLoop, address: str) -> None:
        self._loop = loop
        self._address = address
        # What the driver asks for with each statement that has a limit.
        self.create_future = loop.create_future
        self.call_later = loop.call_later
        self.time = loop.time

    def __getattr__(self, name: str) -> Any:
        return getattr(self._loop, name)

    def __eq__(self, other: object) -> bool:
        return self is other or self._loop is other

    def __hash__(self) -> int:
        # asyncio finds the current task by its loop.
        return hash(self._loop)

    async def create_connection(self, protocol_factory: Any, host: str, port: int, **arguments: Any) -> Any:
        """Connect to the address in place of the host."""
        if arguments.get("ssl"):
            arguments["server_hostname"] = host
        return await self._loop.create_connection(protocol_factory, self._address, port, **arguments)
