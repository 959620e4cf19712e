"""What all sessions of a pool share."""

from dataclasses import dataclass, field

import asyncpg

from app.db.binding.query import Query
from app.db.counting.figures import Figures


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionOptions:
    """How the sessions of a pool are set up, and the caches that they share.

    `answer_timeout` is how many seconds after a statement was sent a silent server counts as dead; None for no limit.
    `settings_of_transactions` is SQL that is sent with each BEGIN. `needs_writable` and `may_be_read_only` say which
    role the address asks of its server. `column_types` and `planned` are caches for all sessions together, and
    `figures` counts what they all run.
    """

    answer_timeout: float | None = None
    settings_of_transactions: str = ""
    needs_writable: bool = False
    may_be_read_only: bool = False
    plans_generically: bool = False
    column_types: dict[Query, dict[str, asyncpg.Type]] = field(default_factory=dict[Query, dict[str, asyncpg.Type]])
    planned: set[str] = field(default_factory=set[str])
    figures: Figures = field(default_factory=Figures)


NO_OPTIONS = SessionOptions()
