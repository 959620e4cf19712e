"""The memory that workers share."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from app.board import HALF, Board, create_board


@pytest.fixture
def boards() -> Iterator[tuple[Board, Board, Board]]:
    descriptor = create_board(3)
    yield Board(descriptor, 3, 0), Board(descriptor, 3, 1), Board(descriptor, 3, 2)
    os.close(descriptor)


def test_each_reads_what_the_others_wrote_last(boards: tuple[Board, Board, Board]) -> None:
    one, two, three = boards
    assert one.read_others() == []
    for number in range(5):
        two.write(b"two %d" % number)
    three.write(b"three")

    assert one.read_others() == [b"two 4", b"three"]
    assert two.read_others() == [b"three"]


def test_a_text_that_is_too_long_is_refused_and_the_former_one_stays(boards: tuple[Board, Board, Board]) -> None:
    one, two, _ = boards
    one.write(b"short")
    with pytest.raises(ValueError, match=f"a slot takes {HALF} bytes"):
        one.write(b"x" * (HALF + 1))

    assert two.read_others() == [b"short"]


def test_a_successor_takes_the_slot_of_its_number(boards: tuple[Board, Board, Board]) -> None:
    one, two, _ = boards
    one.write(b"first")
    Board.write(one, b"successor")

    assert two.read_others() == [b"successor"]


def test_a_text_stays_whole_while_the_next_one_is_written(boards: tuple[Board, Board, Board]) -> None:
    one, two, _ = boards
    one.write(b"former")
    number = one.number
    memory, start = one._memory, one._half(number, 2)  # pyright: ignore[reportPrivateUsage] - half of a write
    memory[start : start + 3] = b"hal"

    assert two.read_others() == [b"former"]
