"""Passwords and access tokens."""

import asyncio
import functools
import re
import secrets
import time
import unicodedata
from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from typing import Any, NamedTuple, TypeVar

import jwt
from argon2 import PasswordHasher, extract_parameters
from argon2.exceptions import InvalidHashError, VerifyMismatchError
from jwt.types import Options

MIN_SECRET_KEY_BYTES = 32
# In characters. NFKC takes time that grows with the square of a password's combining marks, and holds the interpreter.
MAX_PASSWORD = 1000
WAITING_PER_WORKER = 64

_Result = TypeVar("_Result")

# OWASP's argon2id setting of 19 MiB, two passes and one lane, not the library's 64 MiB and four lanes: a lane is a
# thread, so with one `workers` is exactly the number of cores that log-ins can keep busy, at 19 MiB each.
# A hash carries its own setting: a later change here leaves every stored password valid.
_hasher = PasswordHasher(time_cost=2, memory_cost=19 * 1024, parallelism=1)

# The algorithm is pinned: what a token says of its own is never believed. (The checker's two exceptions below: PyJWT's
# key types come from `cryptography`, which HS256 does not need.)
_ALGORITHM = "HS256"
# Ours have at most 165 characters. The limit keeps the parser from long and deeply nested input.
_MAX_TOKEN_LENGTH = 512
# `iat` is not compared with the clock: a token just issued is valid on a server whose clock is a second behind, too.
_CHECKS: Options = {"require": ["sub", "iat", "exp"], "verify_iat": False}
# `gen` is the generation, left out if it is 0.
_CLAIMS = frozenset({"sub", "iat", "exp", "gen"})
_USER_ID = re.compile("[1-9][0-9]{0,18}")
_MAX_BIGINT = 2**63 - 1
_MAX_INTEGER = 2**31 - 1
# Tokens that are remembered, the oldest forgotten first; each takes about 400 bytes.
_MAX_KNOWN = 10_000


class PasswordsBusy(Exception):
    """Too many passwords are waiting to be hashed. Trying again in a few seconds may succeed."""


class InvalidToken(Exception):
    """The token was not issued here, was altered, or has expired."""


class Passwords:
    """Hashes and verifies passwords in `workers` threads, so that the event loop never waits for one.

    At most `workers` passwords are worked on at once and 64 times as many wait; the next raises PasswordsBusy.
    A cancelled waiter frees its place.
    """

    def __init__(self, workers: int) -> None:
        self._executor = ThreadPoolExecutor(workers, thread_name_prefix="passwords")
        self._limit = workers * (1 + WAITING_PER_WORKER)
        self._jobs: set[Future[Any]] = set()
        self._decoy_hash = unusable_hash()

    async def hash(self, password: str) -> str:
        """Return an argon2id hash to store for `password`, a different one each time.

        Raises PasswordsBusy, and ValueError for more than MAX_PASSWORD characters.
        """
        if len(password) > MAX_PASSWORD:
            raise ValueError(f"a password has at most {MAX_PASSWORD} characters")
        return await self._run(lambda: _hasher.hash(_encoded(password)))

    async def verify(self, password_hash: str | None, password: str) -> bool:
        """Return whether `password` is the one that was hashed; one of more than MAX_PASSWORD characters never is.

        None, for an account that does not exist, is False after the same work, so that the time taken tells nothing.
        Raises PasswordsBusy, and argon2's InvalidHashError or VerificationError for a hash that is not argon2's.
        """
        if len(password) > MAX_PASSWORD:
            return False
        known = self._decoy_hash if password_hash is None else password_hash
        return await self._run(lambda: _matches(known, password)) and password_hash is not None

    def close(self) -> None:
        """End the threads after their current passwords. Waiting calls are cancelled."""
        self._executor.shutdown(wait=True, cancel_futures=True)

    async def _run(self, work: Callable[[], _Result]) -> _Result:
        if len(self._jobs) >= self._limit:
            raise PasswordsBusy(f"{len(self._jobs)} passwords are waiting to be hashed")
        job = self._executor.submit(work)
        self._jobs.add(job)
        job.add_done_callback(self._jobs.discard)
        return await asyncio.wrap_future(job)


class TokenUser(NamedTuple):
    """Whom a token was issued to, and in which generation of their tokens."""

    id: int
    generation: int


class _Verified(NamedTuple):
    user: TokenUser
    expires: float  # seconds since 1970
    is_current: bool  # signed with the key that signs new ones


class Tokens:
    """Issues and verifies access tokens: JWTs, signed by HS256 with `secret_key`, that expire `ttl` seconds later.

    Tokens signed with `previous_key` are valid, too, until they expire; no new one is signed with it.

    Raises ValueError for a key under 32 bytes, which could be guessed from any token, and for a `ttl` below 1.
    """

    def __init__(self, secret_key: str, ttl: int, previous_key: str | None = None) -> None:
        self._keys = [key.encode() for key in (secret_key, previous_key) if key is not None]
        self._ttl = ttl
        # Verified tokens: to verify one again takes 24 us, a look here a fifth of one. Whether the user still exists,
        # and their tokens were not ended, is asked in every statement.
        self._known: dict[str, _Verified] = {}
        if (length := min(map(len, self._keys))) < MIN_SECRET_KEY_BYTES:
            raise ValueError(f"the secret key has {length} bytes; it needs at least {MIN_SECRET_KEY_BYTES}")
        if ttl < 1:
            raise ValueError(f"tokens cannot expire after {ttl} seconds; it takes at least 1")

    def issue(self, user_id: int, generation: int = 0) -> str:
        """Return a new token of this generation for the user with this id. A new account's generation is 0."""
        now = int(time.time())
        claims: dict[str, object] = {"sub": str(user_id), "iat": now, "exp": now + self._ttl}
        if generation:
            claims["gen"] = generation
        return jwt.encode(claims, self._keys[0], algorithm=_ALGORITHM)  # pyright: ignore[reportUnknownMemberType] - partial types

    def verify(self, token: str) -> TokenUser:
        """Return whom `token` was issued to. Raises InvalidToken for any other text."""
        return self._verified(token).user

    def renew(self, token: str | None, user_id: int, generation: int = 0) -> str:
        """Return `token` if it is this user's, of the present key, and has half of its time left, else a new one."""
        if token is not None:
            known = self._verified(token)
            is_theirs = known.user == (user_id, generation) and known.is_current
            if is_theirs and known.expires - time.time() > self._ttl / 2:
                return token
        return self.issue(user_id, generation)

    def _verified(self, token: str) -> _Verified:
        known = self._known.get(token)
        if known is None:
            known = self._decoded(token)
            if len(self._known) >= _MAX_KNOWN:
                del self._known[next(iter(self._known))]
            self._known[token] = known
        elif known.expires <= time.time():
            del self._known[token]
            raise InvalidToken("the token has expired")
        return known

    def _decoded(self, token: str) -> _Verified:
        if len(token) > _MAX_TOKEN_LENGTH or not token.isascii():
            raise InvalidToken("the token is not of the kind issued here")
        claims, is_current = self._signed(token)
        if not claims.keys() <= _CLAIMS or type(claims["iat"]) is not int or type(claims["exp"]) is not int:
            raise InvalidToken("its claims are not those of a token issued here")
        return _Verified(TokenUser(_user_id(claims["sub"]), _generation(claims)), claims["exp"], is_current)

    def _signed(self, token: str) -> tuple[Mapping[str, Any], bool]:
        """Return the claims, and whether they are signed with the key that signs now."""
        try:
            for key in self._keys[:-1]:
                with suppress(jwt.InvalidSignatureError):
                    return _decode(token, key), True
            return _decode(token, self._keys[-1]), len(self._keys) == 1
        except jwt.PyJWTError as error:
            raise InvalidToken(str(error)) from error


def _decode(token: str, key: bytes) -> Mapping[str, Any]:
    return jwt.decode(token, key, [_ALGORITHM], _CHECKS)  # pyright: ignore[reportUnknownMemberType] - partial types


@functools.cache
def unusable_hash() -> str:
    """Return a hash of an unknown password, as costly to verify as others: an account with it cannot log in."""
    return _hasher.hash(secrets.token_bytes(16))


def is_password_hash(text: str) -> bool:
    """Return whether this is a hash that `Passwords.verify` can read."""
    try:
        extract_parameters(text)
    except InvalidHashError:
        return False
    return True


def _matches(password_hash: str, password: str) -> bool:
    try:
        return _hasher.verify(password_hash, _encoded(password))
    except VerifyMismatchError:
        return False


def _encoded(password: str) -> bytes:
    """Return the bytes to hash: one form for texts that look alike (NIST 800-63B), without an error for any input."""
    return unicodedata.normalize("NFKC", password).encode("utf-8", "surrogatepass")


def _user_id(subject: str) -> int:
    if not _USER_ID.fullmatch(subject) or int(subject) > _MAX_BIGINT:
        raise InvalidToken("its subject is not the id of a user")
    return int(subject)


def _generation(claims: Mapping[str, Any]) -> int:
    generation = claims.get("gen", 0)
    if type(generation) is not int or not 0 <= generation <= _MAX_INTEGER:
        raise InvalidToken("its generation is no number of one")
    return generation
