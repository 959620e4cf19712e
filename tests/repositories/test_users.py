"""No column of an account is forgotten by the statements that store one."""

from __future__ import annotations

import dataclasses
import json

from app.db import Database
from app.repositories import SQL
from app.repositories.users import NewAccount

# PostgreSQL fills these: with a default, or from others.
FILLED = {"id", "created_at", "updated_at", "username_twin", "email_twin", "token_generation"}


async def columns(db: Database) -> set[str]:
    """The columns of an account that somebody has to give."""
    rows = await db.fetch(
        "select attname from pg_attribute where attrelid = 'users'::regclass and attnum > 0 and not attisdropped"
    )
    return {row["attname"] for row in rows} - FILLED


async def test_an_import_stores_every_column_of_an_account(db: Database) -> None:
    assert {field.name for field in dataclasses.fields(NewAccount)} == await columns(db)


async def test_an_update_can_change_every_column_of_an_account(db: Database) -> None:
    update = json.loads((SQL / "lock.json").read_text())["queries"]["users.update_user"]
    written = {name.removeprefix("users.") for name in update["writes"]}

    assert written - FILLED == await columns(db)
