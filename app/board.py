"""Memory that the workers of a service share: each writes into a slot of its own, and reads those of all.

A slot has two halves. A worker writes the half that is not valid, then makes it the valid one by its number: a reader
sees the former text or the new one, and reads again if the number has changed meanwhile. A worker that has ended leaves
its last text to be read until its successor writes.
"""

import mmap
import os
import struct
import tempfile

HALF = 1 << 20  # bytes
_HEAD = struct.Struct("<QI")
_PAGE = 4096
_SLOT = _PAGE + 2 * HALF


class Board:
    """The slots of `workers` workers in the file with this descriptor; this process writes slot `number`."""

    def __init__(self, descriptor: int, workers: int, number: int) -> None:
        self.number = number
        self._workers = workers
        self._memory = mmap.mmap(descriptor, workers * _SLOT)

    def write(self, text: bytes) -> None:
        """Publish this process's text. Raises ValueError when it is longer than HALF bytes."""
        if len(text) > HALF:
            raise ValueError(f"a slot takes {HALF} bytes, not {len(text)}")
        at = self.number * _SLOT
        version = _HEAD.unpack_from(self._memory, at)[0] + 1
        start = self._half(self.number, version)
        self._memory[start : start + len(text)] = text
        _HEAD.pack_into(self._memory, at, version, len(text))

    def read_others(self) -> list[bytes]:
        """Return the texts of the other workers that have written one."""
        return [text for number in range(self._workers) if number != self.number and (text := self._read(number))]

    def _read(self, number: int) -> bytes:
        while True:
            version, length = _HEAD.unpack_from(self._memory, number * _SLOT)
            start = self._half(number, version)
            text = self._memory[start : start + length]
            if _HEAD.unpack_from(self._memory, number * _SLOT)[0] == version:
                return text

    def _half(self, number: int, version: int) -> int:
        return number * _SLOT + _PAGE + (version % 2) * HALF


def create_board(workers: int) -> int:
    """Return the descriptor of a file for so many slots, which is in memory and has no name where that is possible."""
    if hasattr(os, "memfd_create"):
        descriptor = os.memfd_create("bindery")
    else:
        with tempfile.TemporaryFile() as file:
            descriptor = os.dup(file.fileno())
    os.ftruncate(descriptor, workers * _SLOT)
    return descriptor
