"""What an SQL file says: named statements, their places in the file, their effects. May import only app.db.errors."""
