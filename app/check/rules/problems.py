"""What the checker finds: a problem, with the words of both sides and the change that mends it."""

from dataclasses import dataclass
from typing import Literal

from app.db.sql.places import Place


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong."""

    query: str
    """The query at fault, such as `articles.list_feed`; empty where it is none of them."""
    place: Place | None
    """Where to look; None where the message begins with the place."""
    message: str
    mend: str = ""
    """The change that would mend it."""
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
