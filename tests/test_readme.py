"""The README tells the truth: its table of settings, its links and its targets of make."""

from __future__ import annotations

import re

import pytest

from app.settings_table import settings_table
from tests.processes import ROOT

README = (ROOT / "README.md").read_text()


def test_the_settings_are_all_there() -> None:
    assert settings_table() in README


def test_every_file_it_links_to_exists() -> None:
    links = re.findall(r"\]\((?!https?:)([^)]+)\)", README)

    assert links
    assert [link for link in links if not (ROOT / link).exists()] == []


@pytest.mark.parametrize("target", ["run", "test", "test-all", "check"])
def test_each_make_target_it_names_exists(target: str) -> None:
    assert f"make {target}" in README
    assert re.search(rf"^{target}:", (ROOT / "Makefile").read_text(), re.MULTILINE)
