"""The Python side of a statement: signatures, arguments, rows. May import app.db.sql and app.db.errors."""
