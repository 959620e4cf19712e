"""The files in `migrations/`, for those who only ask which there are: nothing here imports yoyo or psycopg."""

from pathlib import Path

MIGRATIONS = Path(__file__).parent.parent / "migrations"


class MigrationError(Exception):
    """A migration cannot be read, applied or rolled back, or the database cannot be reached; the message says which."""


def migration_ids(folder: Path = MIGRATIONS) -> list[str]:
    """Return the ids of the folder's migrations, oldest first, without asking a database."""
    return sorted(path.stem for path in folder.glob("*.sql") if not path.name.endswith(".rollback.sql"))
