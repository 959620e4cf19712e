"""Who sent a request: an address, and whether it comes from this machine."""

from collections.abc import Sequence
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address

from starlette.requests import Request

Address = IPv4Address | IPv6Address
Networks = Sequence[IPv4Network | IPv6Network]
_FORWARDED = ("x-forwarded-for", "forwarded", "x-real-ip", "via")
_LOCAL_NAMES = frozenset(("localhost", "127.0.0.1", "[::1]"))


def client_address(request: Request, proxies: Networks) -> Address | None:
    """Return the address of the client; behind the given proxies the one that the first of them saw. None: unknown.

    X-Forwarded-For is read from its end, where the nearest proxy writes: what the client wrote itself stands before it.
    """
    address = _address(request.client.host if request.client else "")
    forwarded = [part.strip() for line in request.headers.getlist("x-forwarded-for") for part in line.split(",")]
    while address is not None and forwarded and any(address in network for network in proxies):
        address = _address(forwarded.pop())
    return address


def is_local(request: Request, proxies: Networks) -> bool:
    """Return whether a person or program on this machine sent the request itself.

    A request that was forwarded is not local, whatever it says: behind a proxy on this machine everyone would be. Nor
    is one for another host's name: a page of that host may have had its name resolved to this machine.
    """
    address = _address(request.client.host if request.client else "")
    if address is None or not address.is_loopback or any(address in network for network in proxies):
        return False
    if any(name in request.headers for name in _FORWARDED):
        return False
    host = request.headers.get("host", "")
    name = host if host.endswith("]") else host.rpartition(":")[0] or host
    return name.lower() in _LOCAL_NAMES


def _address(text: str) -> Address | None:
    try:
        address = ip_address(text.strip("[]"))
    except ValueError:
        return None
    return getattr(address, "ipv4_mapped", None) or address
