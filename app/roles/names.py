"""The names of the four roles of a database, and how SQL writes a name."""

import re
from dataclasses import dataclass

KINDS = ("owner", "application", "reader", "monitor")
LONGEST = 63  # bytes of a name in PostgreSQL
_PLAIN = re.compile(rf"[a-z_][a-z0-9_]*_({'|'.join(KINDS)})|pg_[a-z_]+")


class RolesError(Exception):
    """The roles cannot be set up. The message names the database, role or statement, and says what to do."""


@dataclass(frozen=True, slots=True)
class RoleNames:
    """The names of the roles: a prefix, which is the name of the database unless another is chosen, and the kind.

    Roles belong to the server and not to a database, so two databases need two prefixes.
    """

    prefix: str

    def __post_init__(self) -> None:
        if not self.prefix or "\0" in self.prefix or len(f"{self.prefix}_application".encode()) > LONGEST:
            raise RolesError(
                f"the prefix {self.prefix!r} makes no name of a role; allowed: 1 to {LONGEST - len('_application')}"
                " bytes, chosen with --prefix"
            )

    def of(self, kind: str) -> str:
        """Return the name of the role of this kind."""
        return f"{self.prefix}_{kind}"

    @property
    def owner(self) -> str:
        """The role that runs migrations and owns the database, its schema and what is in it."""
        return self.of("owner")

    @property
    def application(self) -> str:
        """The role that the service connects as."""
        return self.of("application")

    @property
    def reader(self) -> str:
        """The role that people read reports with."""
        return self.of("reader")

    @property
    def monitor(self) -> str:
        """The role that watches the server."""
        return self.of("monitor")


def names_of_login(user: str) -> RoleNames | None:
    """Return the names of the roles that this login is the application of; None for another login."""
    prefix = user.removesuffix("_application")
    return RoleNames(prefix) if prefix and prefix != user else None


def quoted(name: str) -> str:
    """Return the name of a role or database as SQL writes it."""
    # A plain name of a role stays as it is, to be read: it ends in _owner and the like, and is no keyword.
    return name if _PLAIN.fullmatch(name) else '"' + name.replace('"', '""') + '"'


def literal(text: str) -> str:
    """Return a text as a string constant of SQL."""
    if "\\" in text:
        return "E'" + text.replace("\\", "\\\\").replace("'", "''") + "'"
    return "'" + text.replace("'", "''") + "'"
