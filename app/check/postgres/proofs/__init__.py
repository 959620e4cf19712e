"""Proves what is true of every row for any data, by PostgreSQL's own analysed tree of a statement."""
