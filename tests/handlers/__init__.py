import pytest

# Before they are imported: their assertions then show the values that differ.
pytest.register_assert_rewrite("tests.handlers.machine", "tests.handlers.machine_accounts")
