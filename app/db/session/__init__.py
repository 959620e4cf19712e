"""One connection to the server: statements, transactions, copies. May import app.db.binding and what that may."""
