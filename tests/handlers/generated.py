"""How many examples the tests of generated requests try."""

import os

from hypothesis import HealthCheck, Phase, settings

VARIABLE = "TEST_EXAMPLES"


def bounded(examples: int) -> settings:
    """So many examples, the same ones each time; with TEST_EXAMPLES=10000 in the environment, as many new ones."""
    asked = os.environ.get(VARIABLE)
    if asked is not None and not (asked.isascii() and asked.isdigit() and int(asked)):
        raise ValueError(f"{VARIABLE} must be a number of examples such as 10000, not {asked!r}")
    return settings(
        max_examples=int(asked or examples),
        derandomize=asked is None,
        database=None,
        deadline=None,
        print_blob=asked is not None,
        phases=[Phase.explicit, Phase.generate, Phase.shrink],
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
    )
