"""The tables of the tests: 10,000 rows with a random number each, and twelve fortunes."""

from random import Random

import asyncpg

TABLES = """
    create table world (id int primary key, randomnumber int not null);
    create table fortune (id int primary key, message text not null);
"""
ROWS = 10_000
FORTUNES = (
    "fortune: No such file or directory",
    "A computer scientist is someone who fixes things that aren't broken.",
    "After enough decimal places, nobody gives a damn.",
    "A bad random number generator: 1, 1, 1, 1, 1, 4.33e+67, 1, 1, 1",
    "A computer program does what you tell it to do, not what you want it to do.",
    "Emacs is a nice operating system, but I prefer UNIX. — Tom Christaensen",
    "Any program that runs right is obsolete.",
    "A list is only as strong as its weakest link. — Donald Knuth",
    "Feature: A bug with seniority.",
    "Computers make very fast, very accurate mistakes.",
    '<script>alert("This should not be displayed in a browser alert box.");</script>',
    "フレームワークのベンチマーク",
)


async def create(dsn: str) -> None:
    """Create and fill the tables."""
    random = Random(1)
    connection = await asyncpg.connect(dsn)
    try:
        await connection.execute(TABLES)
        numbers = [(key, random.randint(1, ROWS)) for key in range(1, ROWS + 1)]
        await connection.copy_records_to_table("world", records=numbers)
        await connection.copy_records_to_table("fortune", records=list(enumerate(FORTUNES, 1)))
        await connection.execute("analyze")
    finally:
        await connection.close()
