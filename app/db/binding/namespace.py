"""Names for generated source that cannot clash with the names of fields and placeholders."""

from collections.abc import Iterable
from typing import Any


class Namespace:
    """The globals of generated source. They have a prefix that none of the users' names begins with.

    Built-in functions are globals, too, because a placeholder called `type` would hide the built-in one.
    """

    def __init__(self, users: Iterable[str] = ()) -> None:
        taken = tuple(users)
        prefix = "__"
        while any(name.startswith(prefix) for name in taken):
            prefix += "_"
        self._prefix = prefix
        self.values: dict[str, Any] = {}

    def give(self, value: object, name: str) -> str:
        """Add a global with this value and return its name."""
        own = f"{self._prefix}{name}"
        self.values[own] = value
        return own

    def add(self, value: object, name: str) -> str:
        """Add a global with this value, numbered so that the name is unique, and return its name."""
        return self.give(value, f"{name}_{len(self.values)}")

    def compiled(self, source: str, function: str) -> Any:
        """Return the function of this name that the source defines."""
        # The source contains only identifiers and text of this package.
        exec(source, self.values)  # noqa: S102 - no input reaches it
        return self.values[function]
