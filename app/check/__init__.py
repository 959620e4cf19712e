"""Proves SQL files and the functions bound to them against a migrated database; never imported by a running service."""
