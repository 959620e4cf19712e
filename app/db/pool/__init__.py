"""Who has which session, and when sessions open and close. May import app.db.session and what that may."""
