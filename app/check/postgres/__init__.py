"""What the server says of a schema and of statements. May import app.db.binding, app.db.sql and the driver."""
