"""What the Python source says, and what it should say. May import app.check.postgres and what that may."""
