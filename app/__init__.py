"""A service over the data layer in app.db."""

__version__ = "0.1.0"
