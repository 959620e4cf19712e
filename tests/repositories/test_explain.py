"""`python -m app explain` with values."""

from __future__ import annotations

import pytest

from tests.test_explain import explain

NAME = "profiles.get_profile"


def test_values_are_those_of_the_signature(database_url: str) -> None:
    done = explain(database_url, NAME, "username=ann", "viewer_id=null", "generation=null", "--analyze")
    generic = explain(database_url, NAME)

    assert "'ann'" in done.stdout.replace('"', "'")
    assert "Execution Time:" in done.stdout
    assert "$" in generic.stdout.split("Scan")[-1]


@pytest.mark.parametrize(
    ("values", "problem"),
    [
        (
            ["username=ann", "viewer_id=null"],
            f"{NAME} also needs generation; it has: viewer_id: int | None, generation: int | None, username: str",
        ),
        (["username=ann", "viewer_id=x", "generation=0"], "viewer_id=x: Input should be a valid integer"),
    ],
)
def test_a_value_that_is_missing_or_wrong_is_named(database_url: str, values: list[str], problem: str) -> None:
    done = explain(database_url, NAME, *values)

    assert done.returncode == 2
    assert problem in done.stderr
