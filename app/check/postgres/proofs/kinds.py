"""Name the numbers that PostgreSQL gives to kinds of things in a tree."""

from enum import IntEnum


class Command(IntEnum):
    """What a QUERY does."""

    SELECT = 1
    UPDATE = 2
    INSERT = 3
    DELETE = 4
    MERGE = 5


class TableKind(IntEnum):
    """What an entry of a range table stands for."""

    RELATION = 0
    SUBQUERY = 1
    JOIN = 2
    FUNCTION = 3
    VALUES = 5
    CTE = 6
    GROUP = 9


class Join(IntEnum):
    """The joins that a query can be written with."""

    INNER = 0
    LEFT = 1
    FULL = 2
    RIGHT = 3


class SetOperation(IntEnum):
    """How two queries become one."""

    UNION = 1
    INTERSECT = 2
    EXCEPT = 3


class Sublink(IntEnum):
    """What an expression makes of a query inside it: EXISTS (…), x = ANY (…), its only value, ARRAY(…)."""

    EXISTS = 0
    ANY = 2
    VALUE = 4
    ARRAY = 6


class Returned(IntEnum):
    """Which state of a written row a column of RETURNING is taken from."""

    DEFAULT = 0
    OLD = 1
    NEW = 2
