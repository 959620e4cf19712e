"""A problem that the checker finds, with what both sides say and the change that solves it."""

from dataclasses import dataclass
from typing import Literal

from app.db.sql.places import Place


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong."""

    query: str
    """The query at fault, such as `articles.list_feed`. Empty if the problem belongs to no query."""
    place: Place | None
    """Where to look. None if the message begins with the place."""
    message: str
    mend: str = ""
    """The change that would solve it."""
    python: str = ""
    """What the Python says: `app/repositories/users.py:12:9: id: int`."""
    postgresql: str = ""
    """What PostgreSQL says."""
    severity: Literal["error", "warning"] = "error"
    """An error can fail at run time; a warning is a promise weaker than what PostgreSQL keeps."""

    def __str__(self) -> str:
        message = f"{self.severity}: {self.message}"
        lines = [self.place.report(message) if self.place else message]
        said = {"Python says": self.python, "PostgreSQL says": self.postgresql, "To mend it": self.mend}
        return "\n".join([*lines, *(f"  {who:<16}{what}" for who, what in said.items() if what)])
