"""Names in generated source that no name of a user can be: what a field or a placeholder is called does not matter."""

from collections.abc import Iterable
from typing import Any


class OwnNames:
    """The globals of generated source, each under a name that none of the users' names begins like.

    Built-in functions are among them: a placeholder called `type` hides the built-in one.
    """

    def __init__(self, users: Iterable[str] = ()) -> None:
        taken = tuple(users)
        prefix = "__"
        while any(name.startswith(prefix) for name in taken):
            prefix += "_"
        self._prefix = prefix
        self.values: dict[str, Any] = {}

    def give(self, value: object, name: str) -> str:
        """The name of a global with this value."""
        own = f"{self._prefix}{name}"
        self.values[own] = value
        return own

    def add(self, value: object, name: str) -> str:
        """The name of a new global with this value, with a number where others are called alike."""
        return self.give(value, f"{name}_{len(self.values)}")

    def compiled(self, source: str, function: str) -> Any:
        """The function of this name that the source defines."""
        # The source is made of identifiers of our own modules; no input reaches it.
        exec(source, self.values)  # noqa: S102 - no input reaches it
        return self.values[function]
