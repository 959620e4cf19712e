"""What the server keeps of a password."""

from __future__ import annotations

from base64 import b64decode

import pytest

from app.roles.names import RolesError
from app.roles.passwords import new_password, scram_verifier, verifies


def test_a_verifier_is_that_of_the_example_in_rfc_7677() -> None:
    assert scram_verifier("pencil", b64decode("W22ZaJ0SNY7soEsUEjb6gQ==")) == (
        "SCRAM-SHA-256$4096:W22ZaJ0SNY7soEsUEjb6gQ=="
        "$WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY=:wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU="
    )


def test_a_verifier_knows_its_password_and_no_other() -> None:
    verifier = scram_verifier("correct horse")

    assert verifies(verifier, "correct horse")
    assert not verifies(verifier, "correct horsf")
    assert not verifies(None, "correct horse")
    assert not verifies("md5d8578edf8458ce06fbc5bb76a58c5ca4", "correct horse")


def test_two_verifiers_of_one_password_differ_and_so_do_two_passwords() -> None:
    assert scram_verifier("correct horse") != scram_verifier("correct horse")
    assert new_password() != new_password()
    assert len(new_password()) == 32


@pytest.mark.parametrize("password", ["", "größe", "a\nb"])
def test_a_password_that_programs_read_differently_is_refused(password: str) -> None:
    with pytest.raises(RolesError, match="printable ASCII"):
        scram_verifier(password)
