"""What a monitor asks: the names of statements, pg_stat_statements, and the processes of this machine."""
