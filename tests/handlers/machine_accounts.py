"""People with accounts: the part of the machine that registers, logs in, changes accounts, and follows."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from urllib.parse import quote

import httpx2
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, rule

from app.settings import Settings
from tests.documented import fields_at_fault, outcome
from tests.handlers.model import Account, Caller, Conduit

Send = Callable[..., httpx2.Response]
Refusal = tuple[bool, int, str, str]


def one_of(choices: Callable[[Conduit], list[Any]]) -> st.SearchStrategy[Any]:
    """One of what the model has of a kind by now."""
    return st.runner().flatmap(lambda machine: st.sampled_from(choices(machine.model)))


LOGIN_FAILURES: int = Settings.model_fields["login_failures"].default
CALLERS = one_of(lambda model: [*[each for each in model.callers if not each.is_ended] * 2, *model.callers])
NAMES = st.sampled_from(["ann", "bob", "cleo", "Ann", "BOB", "d\u00f6rte 4", "100%?#", "nobody"])
EMAILS = st.sampled_from(["ann@example.com", "bob@example.com", "cleo@example.com", "Ann@Example.com", "d@example.com"])
PASSWORDS = st.sampled_from(["correct horse", "wrong stable"])
CLEARABLE = st.sampled_from([None, "", "I like tea."])


class WithAccounts(RuleBasedStateMachine):
    """Rules: each sends one request and compares the answer with the model."""

    send: Send
    """Send one request, `send(method, path, headers=, json=, params=)`; set before the machine runs."""

    def __init__(self) -> None:
        super().__init__()
        self.model = Conduit()

    def ask(self, caller: Caller, method: str, path: str, json: Any = None, **params: Any) -> httpx2.Response:
        """The answer to what the caller sends."""
        headers = {"Authorization": f"Token {caller.token}"} if caller.account else {}
        return type(self).send(method, path, headers=headers, json=json, params=params or None)

    def signs_up(self, name: str) -> Caller:
        """A new person of this name."""
        self.register(username=name, email=f"{name}@example.com", password="correct horse")
        return self.model.callers[-1]

    @rule(username=NAMES, email=EMAILS, password=PASSWORDS)
    def register(self, username: str, email: str, password: str) -> None:
        fields = {"username": username, "email": email, "password": password}
        answer = self.ask(Caller(), "POST", "/api/users", {"user": fields})
        if taken := self.model.taken(fields, None):
            assert fields_at_fault(answer) == (409, taken)
            return
        account = Account(username, email, password)
        self.model.accounts.append(account)
        self._signed_in(account, answer, 201)

    @rule(email=EMAILS, password=PASSWORDS)
    def log_in(self, email: str, password: str) -> None:
        answer = self.ask(Caller(), "POST", "/api/users/login", {"user": {"email": email, "password": password}})
        key = email.lower()
        account = next((each for each in self.model.accounts if each.email.lower() == key), None)
        if self.model.failed_logins[key] >= LOGIN_FAILURES:
            assert fields_at_fault(answer) == (429, {"credentials"})
        elif account is None or account.password != password:
            assert outcome(answer) == (401, {"credentials": ["invalid"]})
            self.model.failed_logins[key] += 1
        else:
            del self.model.failed_logins[key]
            self._signed_in(account, answer)

    @rule(caller=CALLERS, changes=st.fixed_dictionaries({}, optional={
        "username": NAMES, "email": EMAILS, "bio": CLEARABLE, "image": CLEARABLE,
    }))  # fmt: skip
    def change_account(self, caller: Caller, changes: dict[str, Any]) -> None:
        answer = self.ask(caller, "PUT", "/api/user", {"user": changes})
        if refuses(answer, *no_viewer(caller), (not changes, 422, "user", "needs at least one field to change")):
            return
        assert caller.account
        if taken := self.model.taken(changes, caller.account):
            assert fields_at_fault(answer) == (409, taken)
            return
        for name, value in changes.items():
            setattr(caller.account, name, value or None)
        self._signed_in(caller.account, answer)

    @rule(caller=CALLERS)
    def read_account(self, caller: Caller) -> None:
        answer = self.ask(caller, "GET", "/api/user")
        if not refuses(answer, *no_viewer(caller)):
            assert caller.account
            self._signed_in(caller.account, answer)

    @rule(caller=CALLERS)
    def end_tokens(self, caller: Caller) -> None:
        answer = self.ask(caller, "DELETE", "/api/user/tokens")
        if not refuses(answer, *no_viewer(caller)):
            assert caller.account
            caller.account.generation += 1

    @rule(caller=CALLERS, username=NAMES, method=st.sampled_from(["POST", "POST", "DELETE", "GET"]))
    def follow_or_look(self, caller: Caller, username: str, method: str) -> None:
        path = f"/api/profiles/{quote(username, safe='')}" + ("" if method == "GET" else "/follow")
        answer, other = self.ask(caller, method, path), self.model.account(username)
        if refuses(answer, *no_viewer(caller, method == "GET"), (not other, 404, "profile", "not found")):
            return
        assert other
        if method != "GET":
            assert caller.account
            change = self.model.follows.add if method == "POST" else self.model.follows.discard
            change((caller.account, other))
        assert answer.json() == {"profile": self.model.profile(other, caller.account)}

    def _signed_in(self, account: Account, answer: httpx2.Response, status: int = 200) -> None:
        token = answer.json()["user"]["token"] if answer.status_code == status else ""
        shown = {"username": account.username, "email": account.email, "bio": account.bio, "image": account.image}
        assert (answer.status_code, answer.json()) == (status, {"user": {**shown, "token": token}})
        self.model.callers.append(Caller(account, token, account.generation))


def no_viewer(caller: Caller, is_optional: bool = False) -> tuple[Refusal, Refusal]:
    return (
        (caller.account is None and not is_optional, 401, "token", "is missing"),
        (caller.is_ended, 401, "token", "is invalid"),
    )


def refuses(answer: httpx2.Response, *reasons: Refusal) -> bool:
    """Whether one of the reasons applies: then the answer must name the first that does, else none."""
    for applies, status, field, message in reasons:
        if applies:
            assert answer.status_code == status, f"{answer.status_code}, not {status}: {answer.text}"
            assert outcome(answer) == (status, {field: [message]})
            return True
    assert answer.status_code < 300 or answer.status_code == 409, answer.text
    return False
