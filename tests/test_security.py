import asyncio
import base64
import json
import threading
import time
from collections.abc import Iterator
from typing import Any

import jwt
import pytest
from argon2.exceptions import InvalidHashError, VerificationError
from hypothesis import given
from hypothesis import strategies as st

from app import security
from app.security import MAX_PASSWORD, WAITING_PER_WORKER, InvalidToken, Passwords, PasswordsBusy, Tokens

KEY = "k" * 32


@pytest.fixture
def passwords() -> Iterator[Passwords]:
    passwords = Passwords(workers=1)
    yield passwords
    passwords.close()


@pytest.fixture
def tokens() -> Tokens:
    return Tokens(KEY, ttl=3600)


def signed(claims: dict[str, Any], key: str = KEY, algorithm: str = "HS256") -> str:
    return jwt.encode(claims, key, algorithm=algorithm)  # pyright: ignore[reportUnknownMemberType] - as in app.security


def claims(**changes: object) -> dict[str, object]:
    now = int(time.time())
    return {"sub": "1", "iat": now, "exp": now + 60} | changes


def segment(value: object) -> str:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()


async def test_a_password_verifies_against_its_own_hash_only(passwords: Passwords) -> None:
    password_hash = await passwords.hash("correct horse")

    assert await passwords.verify(password_hash, "correct horse")
    assert not await passwords.verify(password_hash, "correct horsf")
    assert not await passwords.verify(password_hash, "")


async def test_a_password_longer_than_any_is_wrong_and_never_normalised(
    passwords: Passwords, monkeypatch: pytest.MonkeyPatch
) -> None:
    password_hash = await passwords.hash("p" * MAX_PASSWORD)

    def refuse(*_: object) -> None:
        raise AssertionError("it was normalised")

    monkeypatch.setattr("app.security._encoded", refuse)
    for password in ("p" * (MAX_PASSWORD + 1), "a" + "\u0315\u0300" * 60_000):
        assert not await passwords.verify(password_hash, password)
        assert not await passwords.verify(None, password)
        with pytest.raises(ValueError, match="at most 1000 characters"):
            await passwords.hash(password)


async def test_the_same_password_is_never_hashed_alike_and_never_stored(passwords: Passwords) -> None:
    hashes = {await passwords.hash("correct horse") for _ in range(2)}

    assert len(hashes) == 2
    assert all(value.startswith("$argon2id$v=19$m=19456,t=2,p=1$") and "horse" not in value for value in hashes)


async def test_a_password_is_the_same_however_its_accents_were_typed(passwords: Passwords) -> None:
    assert await passwords.verify(await passwords.hash("caf\u00e9 noir"), "cafe\u0301 noir")


@pytest.mark.parametrize("password", ["p" * MAX_PASSWORD, "nul \x00 inside", "a lone \ud800 surrogate", "пароль-密码"])
async def test_any_text_can_be_a_password(passwords: Passwords, password: str) -> None:
    password_hash = await passwords.hash(password)

    assert await passwords.verify(password_hash, password)
    assert not await passwords.verify(password_hash, password[:-1])


async def test_an_unknown_account_costs_the_same_work_as_a_wrong_password(
    passwords: Passwords, monkeypatch: pytest.MonkeyPatch
) -> None:
    parameters: list[str] = []
    matches = security._matches  # pyright: ignore[reportPrivateUsage] - what it is called with is the work done

    def recorded(password_hash: str, password: str) -> bool:
        parameters.append(password_hash.rsplit("$", 2)[0])
        return matches(password_hash, password)

    password_hash = await passwords.hash("correct horse")
    monkeypatch.setattr(security, "_matches", recorded)

    assert not await passwords.verify(None, "correct horse")
    assert not await passwords.verify(password_hash, "wrong horse")
    assert parameters[0] == parameters[1]


async def test_an_unknown_account_has_no_password_at_all(passwords: Passwords, monkeypatch: pytest.MonkeyPatch) -> None:
    def always(_password_hash: str, _password: str) -> bool:
        return True

    monkeypatch.setattr(security, "_matches", always)

    assert not await passwords.verify(None, "whatever the decoy is")


@pytest.mark.parametrize("password_hash", ["", "plain text", "$2b$12$abcdefghijklmnopqrstuv", "$argon2id$nonsense"])
async def test_a_stored_hash_that_is_none_is_an_error_not_a_wrong_password(
    passwords: Passwords, password_hash: str
) -> None:
    with pytest.raises((InvalidHashError, VerificationError)):
        await passwords.verify(password_hash, "correct horse")


class Gate:
    """Stands in for the hasher's work: counts who is inside, and holds them there until it is opened."""

    def __init__(self) -> None:
        self.opened = threading.Event()
        self.entered = threading.Semaphore(0)
        self.inside = 0
        self.most_inside = 0
        self.passed = 0
        self._lock = threading.Lock()

    def __call__(self, _password_hash: str, _password: str) -> bool:
        with self._lock:
            self.inside += 1
            self.most_inside = max(self.most_inside, self.inside)
        self.entered.release()
        if not self.opened.wait(10):
            # The test has failed already; what waits behind this one need not wait as long.
            self.opened.set()
        with self._lock:
            self.inside -= 1
            self.passed += 1
        return True


@pytest.fixture
def gate(monkeypatch: pytest.MonkeyPatch) -> Iterator[Gate]:
    gate = Gate()
    monkeypatch.setattr(security, "_matches", gate)
    yield gate
    gate.opened.set()


async def test_the_event_loop_goes_on_while_a_password_is_hashed(passwords: Passwords, gate: Gate) -> None:
    waiter = asyncio.create_task(passwords.verify("hash", "one"))
    assert await asyncio.to_thread(gate.entered.acquire, timeout=60)

    gate.opened.set()

    assert await waiter


async def test_no_more_passwords_are_hashed_at_once_than_there_are_workers(gate: Gate) -> None:
    passwords = Passwords(workers=2)
    waiters = [asyncio.create_task(passwords.verify("hash", str(number))) for number in range(10)]
    for _ in range(2):
        assert await asyncio.to_thread(gate.entered.acquire, timeout=60)

    gate.opened.set()

    assert await asyncio.gather(*waiters) == [True] * 10
    assert gate.most_inside == 2
    passwords.close()


async def test_too_many_waiting_passwords_are_refused_and_cancelled_ones_make_room(
    passwords: Passwords, gate: Gate
) -> None:
    waiters = [asyncio.create_task(passwords.verify("hash", "one")) for _ in range(1 + WAITING_PER_WORKER)]
    assert await asyncio.to_thread(gate.entered.acquire, timeout=60)
    with pytest.raises(PasswordsBusy):
        await passwords.verify("hash", "one too many")

    for waiter in waiters[1:]:
        waiter.cancel()
    await asyncio.gather(*waiters[1:], return_exceptions=True)
    latecomer = asyncio.create_task(passwords.verify("hash", "late"))
    gate.opened.set()

    assert await latecomer
    assert await waiters[0]
    assert gate.passed == 2


async def test_cancelling_a_password_that_is_being_hashed_keeps_its_place_until_it_is_done(gate: Gate) -> None:
    passwords = Passwords(workers=1)
    waiters = [asyncio.create_task(passwords.verify("hash", "one")) for _ in range(1 + WAITING_PER_WORKER)]
    assert await asyncio.to_thread(gate.entered.acquire, timeout=60)

    waiters[0].cancel()
    await asyncio.gather(waiters[0], return_exceptions=True)
    with pytest.raises(PasswordsBusy):
        await passwords.verify("hash", "one too many")
    gate.opened.set()

    assert await asyncio.gather(*waiters[1:]) == [True] * WAITING_PER_WORKER
    assert gate.most_inside == 1
    passwords.close()


async def test_closing_ends_the_threads(gate: Gate) -> None:
    gate.opened.set()
    passwords = Passwords(workers=3)
    assert await asyncio.gather(*(passwords.verify("hash", "one") for _ in range(6))) == [True] * 6

    passwords.close()

    assert not [thread for thread in threading.enumerate() if thread.name.startswith("passwords")]
    with pytest.raises(RuntimeError):
        await passwords.verify("hash", "after")


@pytest.mark.parametrize("user_id", [1, 42, 2**63 - 1])
def test_a_token_says_whose_it_is(tokens: Tokens, user_id: int) -> None:
    assert tokens.verify(tokens.issue(user_id)).id == user_id


def test_a_token_carries_the_user_its_issue_and_its_expiry_and_nothing_else(tokens: Tokens) -> None:
    payload = json.loads(base64.urlsafe_b64decode(tokens.issue(7).split(".")[1] + "=="))

    assert payload == {"sub": "7", "iat": payload["iat"], "exp": payload["iat"] + 3600}


def test_a_token_issued_by_a_clock_ahead_of_ours_is_valid(tokens: Tokens) -> None:
    assert tokens.verify(signed(claims(iat=int(time.time()) + 30))).id == 1


def test_an_expired_token_is_invalid(tokens: Tokens) -> None:
    with pytest.raises(InvalidToken):
        tokens.verify(signed(claims(exp=int(time.time()) - 1)))


def test_a_token_signed_with_another_key_is_invalid(tokens: Tokens) -> None:
    with pytest.raises(InvalidToken):
        tokens.verify(Tokens("x" * 32, ttl=3600).issue(1))


def test_a_token_with_another_payload_than_was_signed_is_invalid(tokens: Tokens) -> None:
    header, _, signature = tokens.issue(1).split(".")
    with pytest.raises(InvalidToken):
        tokens.verify(f"{header}.{segment(claims(sub='2'))}.{signature}")


@pytest.mark.parametrize("algorithm", ["none", "None", "HS384", "RS256", "ES256", "", 1, None, ["HS256"]])
def test_the_algorithm_that_a_token_names_is_never_believed(tokens: Tokens, algorithm: object) -> None:
    _, payload, signature = tokens.issue(1).split(".")
    for end in (signature, ""):
        with pytest.raises(InvalidToken):
            tokens.verify(f"{segment({'alg': algorithm, 'typ': 'JWT'})}.{payload}.{end}")


@pytest.mark.filterwarnings("ignore::jwt.InsecureKeyLengthWarning")
def test_a_right_key_with_a_longer_digest_is_still_another_algorithm(tokens: Tokens) -> None:
    with pytest.raises(InvalidToken):
        tokens.verify(signed(claims(), algorithm="HS512"))


@pytest.mark.parametrize("missing", ["sub", "exp", "iat"])
def test_a_token_without_one_of_its_claims_is_invalid(tokens: Tokens, missing: str) -> None:
    present = {name: value for name, value in claims().items() if name != missing}
    with pytest.raises(InvalidToken):
        tokens.verify(signed(present))


def test_a_token_longer_than_any_that_is_issued_is_not_even_parsed(tokens: Tokens) -> None:
    with pytest.raises(InvalidToken, match="not of the kind"):
        tokens.verify(signed(claims(padding="x" * 400)))


def test_a_token_says_in_which_generation_it_was_issued(tokens: Tokens) -> None:
    assert tokens.verify(tokens.issue(7)) == (7, 0)
    assert tokens.verify(tokens.issue(7, 2)) == (7, 2)
    assert tokens.verify(tokens.renew(tokens.issue(7, 1), 7, 2)) == (7, 2)


@pytest.mark.parametrize("generation", [-1, "1", 1.0, True, None, [], 2**31, 10**30])
def test_a_token_whose_generation_is_none_is_invalid(tokens: Tokens, generation: object) -> None:
    with pytest.raises(InvalidToken):
        tokens.verify(signed(claims(gen=generation)))


@pytest.mark.parametrize("more", [{"aud": "conduit"}, {"nbf": 1}, {"admin": True}, {"iss": "another service"}])
def test_a_token_with_a_claim_that_is_never_issued_is_invalid(tokens: Tokens, more: dict[str, object]) -> None:
    with pytest.raises(InvalidToken):
        tokens.verify(signed(claims(**more)))


@pytest.mark.parametrize("claim", ["iat", "exp"])
def test_a_token_whose_times_are_no_whole_numbers_is_invalid(tokens: Tokens, claim: str) -> None:
    soon = int(time.time()) + 60
    for value in (str(soon), soon + 0.5, True):
        with pytest.raises(InvalidToken):
            tokens.verify(signed(claims(**{claim: value})))


def test_a_token_of_the_previous_key_is_valid_and_the_next_one_is_of_the_present_key() -> None:
    old = Tokens("o" * 32, ttl=3600).issue(7)
    rotated = Tokens(KEY, ttl=3600, previous_key="o" * 32)

    assert [rotated.verify(old).id, rotated.verify(old).id] == [7, 7]
    for token in (rotated.issue(7), rotated.renew(old, 7)):
        assert Tokens(KEY, ttl=3600).verify(token).id == 7
        assert rotated.renew(token, 7) == token


def test_two_keys_make_nothing_else_valid() -> None:
    rotated = Tokens(KEY, ttl=3600, previous_key="o" * 32)
    for key in (KEY, "o" * 32):
        for wrong in (claims(exp=int(time.time()) - 1), claims(sub="0"), claims(admin=True)):
            with pytest.raises(InvalidToken):
                rotated.verify(signed(wrong, key))
    with pytest.raises(InvalidToken):
        rotated.verify(signed(claims(), "x" * 32))


def test_a_previous_key_that_could_be_guessed_is_refused() -> None:
    with pytest.raises(ValueError, match="5 bytes; it needs at least 32"):
        Tokens(KEY, ttl=60, previous_key="short")


@pytest.mark.parametrize("expiry", ["soon", None, [], {}, float("inf"), float("nan")])
def test_a_token_whose_expiry_is_no_time_is_invalid(tokens: Tokens, expiry: object) -> None:
    with pytest.raises(InvalidToken):
        tokens.verify(signed(claims(exp=expiry)))


@pytest.mark.parametrize(
    "subject", ["", "0", "-1", "01", "+1", " 1", "1\n", "1.0", "1e3", "ann", "\u0661", str(2**63), "9" * 100]
)
def test_a_token_whose_subject_is_no_user_id_is_invalid(tokens: Tokens, subject: str) -> None:
    with pytest.raises(InvalidToken):
        tokens.verify(signed(claims(sub=subject)))


@pytest.mark.parametrize("subject", [1, None, True, [], {}])
def test_a_token_whose_subject_is_no_text_is_invalid(tokens: Tokens, subject: object) -> None:
    payload = segment(claims(sub=subject))
    head = f"{segment({'alg': 'HS256', 'typ': 'JWT'})}.{payload}"
    signature = signed_bytes(head)
    with pytest.raises(InvalidToken):
        tokens.verify(f"{head}.{signature}")


def signed_bytes(text: str) -> str:
    digest = jwt.get_algorithm_by_name("HS256").sign(text.encode(), KEY.encode())
    return base64.urlsafe_b64encode(digest).rstrip(b"=").decode()


@pytest.mark.parametrize(
    "token",
    [
        "", ".", "..", "a.b.c", "\x00", "\ud800", "\ud800.\ud800.\ud800", "é.é.é", "=.=.=", "x" * 10_000_000, "." * 500,
        f"{segment({'alg': 'HS256', 'crit': ['exp'], 'b64': False})}..x",
        f"{segment([])}.{segment({})}.x", f"{segment(None)}.{segment({})}.x",
        base64.urlsafe_b64encode(b"[" * 360).decode() + ".e30.x", "e30.e30.e30",
        base64.urlsafe_b64encode(b"[" * 300_000).decode() + ".e30.x",
    ],
)  # fmt: skip
def test_garbage_is_an_invalid_token(tokens: Tokens, token: str) -> None:
    with pytest.raises(InvalidToken):
        tokens.verify(token)


@given(header=st.text(), payload=st.text(), signature=st.text())
def test_no_text_is_a_token_by_chance(header: str, payload: str, signature: str) -> None:
    parts = [base64.urlsafe_b64encode(part.encode()).decode() for part in (header, payload, signature)]
    for token in (f"{header}.{payload}.{signature}", ".".join(parts)):
        with pytest.raises(InvalidToken):
            Tokens(KEY, ttl=60).verify(token)


@pytest.mark.parametrize("key", ["", "short", "k" * 31])
def test_a_key_that_could_be_guessed_is_refused_without_being_shown(key: str) -> None:
    with pytest.raises(ValueError, match="at least 32") as caught:
        Tokens(key, ttl=60)

    assert not key or key not in str(caught.value)


def test_a_key_is_measured_in_bytes_not_characters() -> None:
    assert Tokens("é" * 16, ttl=60).verify(Tokens("é" * 16, ttl=60).issue(1)).id == 1


@pytest.mark.parametrize("ttl", [0, -1])
def test_tokens_that_expire_at_once_are_refused(ttl: int) -> None:
    with pytest.raises(ValueError, match="expire"):
        Tokens(KEY, ttl)


def test_the_key_is_in_no_representation(tokens: Tokens) -> None:
    assert KEY not in f"{tokens!r} {tokens!s}"


def test_a_token_that_was_verified_before_still_expires(tokens: Tokens, monkeypatch: pytest.MonkeyPatch) -> None:
    token = tokens.issue(7)
    assert [tokens.verify(token).id, tokens.verify(token).id] == [7, 7]

    later = time.time() + 3601
    monkeypatch.setattr(time, "time", lambda: later)

    with pytest.raises(InvalidToken, match="expired"):
        tokens.verify(token)


def test_only_so_many_tokens_are_remembered_and_all_stay_valid(tokens: Tokens, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(security, "_MAX_KNOWN", 3)
    issued = [tokens.issue(user) for user in range(1, 10)]

    assert [tokens.verify(token).id for token in [*issued, *issued]] == [*range(1, 10), *range(1, 10)]
    assert len(tokens._known) == 3  # pyright: ignore[reportPrivateUsage]


def test_an_invalid_token_is_not_remembered(tokens: Tokens) -> None:
    for _ in range(2):
        with pytest.raises(InvalidToken):
            tokens.verify(signed(claims(), "x" * 32))
    assert tokens._known == {}  # pyright: ignore[reportPrivateUsage]


def test_a_token_is_renewed_when_half_of_its_time_is_over(tokens: Tokens, monkeypatch: pytest.MonkeyPatch) -> None:
    token = tokens.issue(7)
    assert tokens.renew(token, 7) == token
    assert tokens.verify(tokens.renew(token, 8)).id == 8
    assert tokens.verify(tokens.renew(None, 7)).id == 7

    later = time.time() + 1801
    monkeypatch.setattr(time, "time", lambda: later)

    renewed = tokens.renew(token, 7)
    assert renewed != token
    assert tokens.verify(renewed).id == 7
