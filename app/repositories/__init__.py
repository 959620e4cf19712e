"""Row types and the functions bound to sql/: one module for each file."""

from pathlib import Path

SQL = Path(__file__).parents[2] / "sql"
