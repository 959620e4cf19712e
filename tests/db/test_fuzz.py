"""The rewriting of `:name` against a real server; tests/db/fuzz_lexer.py does more of it."""

import random
import re

import pytest

from tests.db import fuzz_lexer

pytestmark = pytest.mark.one_loop


@pytest.mark.long
async def test_thousands_of_statements_mean_to_the_server_what_the_file_says(server_dsn: str) -> None:
    seed = random.SystemRandom().randrange(2**32)
    print(f"python -m tests.db.fuzz_lexer --seed {seed} --count 3000")

    await fuzz_lexer.fuzz(server_dsn, seed, 3000)


async def test_a_lexer_that_does_not_know_comments_is_found_out(
    server_dsn: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    from app.db.sql import lexer

    broken = lexer._TOKEN.pattern.replace(r"(?P<COMMENT>--[^\n\r]*+)", r"(?P<COMMENT>--(?=never)\b)")  # pyright: ignore[reportPrivateUsage] - broken on purpose
    assert broken != lexer._TOKEN.pattern  # pyright: ignore[reportPrivateUsage] - broken on purpose
    monkeypatch.setattr(lexer, "_TOKEN", re.compile(broken, re.VERBOSE | re.DOTALL))

    with pytest.raises(Exception) as failure:
        await fuzz_lexer.fuzz(server_dsn, 1, 300)
    assert "--count 1" in failure.value.__notes__[-1]
