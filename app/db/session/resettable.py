"""What SQL changes in a session, and the reset that undoes it."""

from typing import Any

from app.db.session.driver import NEVER
from app.db.session.preparing import PreparingConnection
from app.db.sql.effects import drops_statements, outlives_reset
from app.db.sql.search_path import may_change_path
from app.db.sql.statement_timeout import mentions_statement_timeout, raised_answer_timeout

# asyncpg's own reset forgets these. The name of a statement prepared with SQL's PREPARE is known only to its author, so
# its session is given up: the error makes the pool close it.
_RESET = """
set session authorization default;
reset role;
discard temp;
discard sequences;
do $$ begin
    if exists (select from pg_catalog.pg_prepared_statements where from_sql) then
        raise 'the session has prepared statements of its own';
    end if;
end $$;
"""


class ResettableConnection(PreparingConnection):
    """A connection that records what a reset has to undo.

    `dirty` means that it needs a reset before the next lease, `beyond_reset` that no reset restores it.
    `answer_timeout` is how many seconds after a statement was sent a silent server counts as dead, None for no limit.
    The server gives up earlier by itself. A timer of the driver for each statement would cost ten times as much.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.dirty = False
        self.beyond_reset = False
        self.answer_timeout: float | None = None
        self._initial_answer_timeout: float | None = None
        self._answer_timeout_before: float | None = NEVER

    def this_is_initial(self, answer_timeout: float | None) -> None:
        """Take the present state of the session, with this answer timeout in seconds, for its initial one."""
        self.dirty = self.beyond_reset = False
        self.answer_timeout = self._initial_answer_timeout = answer_timeout

    def before_raw(self, sql: str) -> None:
        """Record that raw SQL is about to run, which may change the session in any way."""
        self.touch(sql)
        if outlives_reset(sql):
            self.beyond_reset = True
        if drops_statements(sql):
            self.forget_statements()

    def touch(self, sql: str) -> None:
        """Record that this text may change parameters of the session, such as its limit for statements."""
        self.dirty = True
        if may_change_path(sql):
            self.path_may_have_changed()
        if mentions_statement_timeout(sql):
            self.answer_timeout = raised_answer_timeout(sql, self.answer_timeout)

    def needs_reset(self) -> None:
        """Have the session reset before its next lease."""
        self.dirty = True

    def give_up(self) -> None:
        """Have the session closed when it is returned: no reset is certain to restore it."""
        self.dirty = self.beyond_reset = True

    def settings_were_set(self, sql: str) -> None:
        """Record that this SQL has set parameters until the end of the transaction."""
        self._answer_timeout_before = self.answer_timeout
        self.answer_timeout = raised_answer_timeout(sql, self.answer_timeout)
        if may_change_path(sql):
            self.path_may_have_changed()

    def settings_are_over(self) -> None:
        """Record that the transaction has ended, and with it what was set for it."""
        if self._answer_timeout_before != NEVER:
            self.answer_timeout, self._answer_timeout_before = self._answer_timeout_before, NEVER
        if not self.has_usual_path:
            # What was set for the session stays set.
            self.path_may_have_changed() if self.dirty else self.path_is_usual()

    def get_reset_query(self) -> str:
        """Return the SQL that restores the initial state of the session; asyncpg's hook."""
        return super().get_reset_query() + _RESET

    async def restore(self) -> None:
        """Undo what raw SQL did to the session, unless it is `beyond_reset`. Raises an error when that fails."""
        if self.is_in_transaction():
            # A raw BEGIN, or a stream that was left early.
            await self.execute("rollback")
        await self.reset()
        self.answer_timeout = self._initial_answer_timeout
        self.path_is_usual()
        self.dirty = False

    async def set_codecs_again(self) -> None:
        """Set the codecs of extension types again. They belong to the initial state of a session."""
        before = self.dirty, self.beyond_reset
        await super().set_codecs_again()
        self.dirty, self.beyond_reset = before

    async def set_type_codec(self, *args: Any, **options: Any) -> None:
        """asyncpg's. No reset undoes it."""
        self.give_up()
        await super().set_type_codec(*args, **options)

    async def reset_type_codec(self, *args: Any, **options: Any) -> None:
        """asyncpg's. No reset undoes it."""
        self.give_up()
        await super().reset_type_codec(*args, **options)

    async def set_builtin_type_codec(self, *args: Any, **options: Any) -> None:
        """asyncpg's. No reset undoes it."""
        self.give_up()
        await super().set_builtin_type_codec(*args, **options)

    def add_query_logger(self, *args: Any, **options: Any) -> None:
        """asyncpg's. No reset undoes it."""
        self.give_up()
        super().add_query_logger(*args, **options)
