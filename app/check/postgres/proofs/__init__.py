"""What is true of every row, whatever the data: proved by PostgreSQL's own analysed tree of a statement."""
