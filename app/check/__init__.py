"""Proves SQL files and the functions bound to them against a migrated database. A running service never imports it.

The commands and the lock file are here. What they compare is in rules/, and what it is compared by in python/ and
postgres/.
"""
