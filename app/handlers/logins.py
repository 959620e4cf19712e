"""Limits to guessing passwords: by account and address, by address, and by account."""

import asyncio
import logging
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from ipaddress import IPv6Address, IPv6Network

from starlette.requests import Request

from app.db import BinderyError, Database
from app.http.client import Networks, client_address
from app.http.errors import TooManyRequests
from app.http.requests import database
from app.repositories import logins
from app.security import PasswordsBusy

logger = logging.getLogger("app.handlers")

FORGET_EVERY = 300.0  # seconds
# Anybody can say that they forward, from many addresses.
MOST_TOLD = 16


@dataclass(frozen=True, slots=True)
class LoginLimits:
    """How many attempts may fail in `window` seconds: for an account from one address, from an address, for an account.

    Behind `proxies` the address is the one that they tell. `told` are others that said they forward, once in the log.
    """

    window: int
    of_pair: int
    of_address: int
    of_account: int
    proxies: Networks = ()
    told: set[str] = field(default_factory=set[str])


@asynccontextmanager
async def limited(request: Request, email: str) -> AsyncGenerator[None]:
    """Count an attempt to log in. Raises TooManyRequests instead when there were too many.

    The attempt counts as failed until succeeded() is called, and not at all when passwords are busy.
    """
    limits: LoginLimits = request.app.state.login_limits
    db, address = database(request), _network(request, limits.proxies)
    attempt = await logins.start_attempt(
        db,
        email=email,
        address=address,
        window=limits.window,
        most_of_pair=limits.of_pair,
        most_of_address=limits.of_address,
        most_of_account=limits.of_account,
    )
    if not attempt.is_allowed:
        _tell_of_proxy(request, limits)
        raise TooManyRequests("credentials", "were tried too often; try again later", max(1, attempt.seconds))
    try:
        yield
    except PasswordsBusy:
        await logins.give_back_attempt(db, email=email, address=address)
        raise


async def succeeded(request: Request, email: str) -> None:
    """Forget the failed attempts of this account from this address: it logged in."""
    limits: LoginLimits = request.app.state.login_limits
    await logins.end_attempt(database(request), email=email, address=_network(request, limits.proxies))


async def forget_attempts(db: Database, window: int) -> None:
    """Delete the attempts that count no more, every five minutes."""
    while True:
        await asyncio.sleep(FORGET_EVERY)
        try:
            await logins.delete_old_attempts(db, window=window)
        except BinderyError as error:
            logger.warning("old attempts to log in stay for five minutes more: %s", error)


def _tell_of_proxy(request: Request, limits: LoginLimits) -> None:
    """Warn of an address that says it forwards, and is not among the proxies: its clients share what it may."""
    peer = client_address(request, ())
    is_unknown = peer == client_address(request, limits.proxies) and "x-forwarded-for" in request.headers
    if is_unknown and str(peer) not in limits.told and len(limits.told) < MOST_TOLD:
        limits.told.add(str(peer))
        logger.warning(
            "log-ins from %s were refused, and it says that it forwards them for others: if it is a proxy, name it in"
            " TRUSTED_PROXIES, since its clients share their limits now",
            peer,
        )


def _network(request: Request, proxies: Networks) -> str:
    """Return the client's IPv4 address, or its /64 of IPv6; "" where it is unknown, which is one address."""
    address = client_address(request, proxies)
    if isinstance(address, IPv6Address):
        return str(IPv6Network((address, 64), strict=False))
    return str(address or "")
