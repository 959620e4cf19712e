"""Where in the caller's program something was asked for."""

import sys
from pathlib import Path

_LAYER = str(Path(__file__).parents[1])


def place_of_caller() -> tuple[str, int]:
    """Return file and line of the call that led here: the nearest frame outside this layer."""
    frame = sys._getframe(1)  # pyright: ignore[reportPrivateUsage] - documented, but without a public name
    # A bound function is compiled from no file.
    while frame.f_code.co_filename.startswith((_LAYER, "<")) and frame.f_back:
        frame = frame.f_back
    return frame.f_code.co_filename, frame.f_lineno


def shown_place(place: tuple[str, int]) -> str:
    """Return a place as `app/handlers/users.py:12`, relative to the current folder if it is below that."""
    file, line = place
    path = Path(file)
    try:
        here = Path.cwd()
    except OSError:
        # The current directory was deleted.
        return f"{file}:{line}"
    return f"{path.relative_to(here) if path.is_relative_to(here) else path}:{line}"
