"""Passwords as the server keeps them: verifiers of SCRAM-SHA-256, made here, so that no password is sent or logged."""

import hmac
import secrets
from base64 import b64decode, b64encode
from hashlib import pbkdf2_hmac, sha256

from app.roles.names import RolesError

ITERATIONS = 4096
SALT_BYTES = 16
RANDOM_BYTES = 24
HIDDEN = "SCRAM-SHA-256$…"
"""Stands for a verifier where statements are shown."""


def new_password() -> str:
    """Return a random password of 192 bits, in characters that a URL takes as they are."""
    return secrets.token_urlsafe(RANDOM_BYTES)


def scram_verifier(password: str, salt: bytes | None = None, iterations: int = ITERATIONS) -> str:
    """Return what PostgreSQL stores of this password, `SCRAM-SHA-256$4096:salt$stored key:server key`.

    Raises RolesError for an empty password, and for one with other characters than printable ASCII: what those become
    depends on rules (SASLprep) that programs apply differently.
    """
    if not password or not password.isascii() or not password.isprintable():
        raise RolesError("a password is empty or has other characters than printable ASCII; choose one without them")
    salt = secrets.token_bytes(SALT_BYTES) if salt is None else salt
    salted = pbkdf2_hmac("sha256", password.encode(), salt, iterations)
    stored_key = sha256(hmac.digest(salted, b"Client Key", "sha256")).digest()
    server_key = hmac.digest(salted, b"Server Key", "sha256")
    first, second, third = (b64encode(part).decode() for part in (salt, stored_key, server_key))
    return f"SCRAM-SHA-256${iterations}:{first}${second}:{third}"


def verifies(verifier: str | None, password: str) -> bool:
    """Return whether a verifier, as the server stores it, is of this password."""
    if verifier is None or not verifier.startswith("SCRAM-SHA-256$"):
        return False
    iterations, _, salt = verifier.split("$")[1].partition(":")
    return hmac.compare_digest(verifier, scram_verifier(password, b64decode(salt), int(iterations)))
