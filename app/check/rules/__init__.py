"""What is compared, and the problems that are found. May import app.check.python and what that may."""
