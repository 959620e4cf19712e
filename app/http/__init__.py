"""What every service needs of HTTP, without a domain. May import app.db; knows no table, repository or handler."""
