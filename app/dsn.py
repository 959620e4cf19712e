"""Brings the many ways to write a database's address into one form.

asyncpg and libpq read the same URL differently: each knows parameters that the other sends to the server or refuses,
one reads `host:port` in a query and the other does not, and where a value is given twice one takes the first and the
other the last. The form that this module writes means the same to both.
"""

from urllib.parse import parse_qsl, quote, unquote

from app.db.pool.address import understood

SCHEMES = ("postgresql", "postgres", "postgresql+asyncpg", "postgres+asyncpg", "postgresql+psycopg", "postgres+psycopg")
TLS_MODES = ("disable", "allow", "prefer", "require", "verify-ca", "verify-full")
PARAMETERS = (
    "application_name",
    "options",
    "passfile",
    "service",
    "sslcert",
    "sslcrl",
    "sslkey",
    "sslmode",
    "sslpassword",
    "sslrootcert",
    "ssl_max_protocol_version",
    "ssl_min_protocol_version",
    "target_session_attrs",
)
# What other stacks call them; the second name is the one that both drivers know.
ALIASES = {"ssl": "sslmode", "database": "dbname", "username": "user"}
# Parts of the address that may stand in the query instead.
ADDRESS = ("host", "port", "user", "password", "dbname")


def normal_dsn(
    url: str, *, tls_mode: str | None = None, tls_root_cert: str | None = None, password: str | None = None
) -> str:
    """`url` as a `postgresql://` URL that asyncpg and libpq (psycopg) read alike; the other arguments override its own.

    Raises ValueError, with a message that never repeats the address or any part of it, when the URL cannot be read.
    """
    credentials, hostlist, path, query = _split(url)
    address, parameters = _read_query(query)
    if tls_mode:
        parameters["sslmode"] = tls_mode
    if tls_root_cert:
        parameters["sslrootcert"] = tls_root_cert
    parameters = understood(parameters)
    for name in parameters:
        if name not in PARAMETERS:
            raise ValueError(_unknown(name))
    if parameters.get("sslmode", "prefer") not in TLS_MODES:
        raise ValueError(f"its sslmode is unknown; allowed: {', '.join(TLS_MODES)}")
    user, _, own_password = credentials.partition(":")
    user = _one("user", unquote(user), address.get("user", ""))
    password = password or _one("password", unquote(own_password), address.get("password", ""))
    database = _one("database", unquote(path), address.get("dbname", ""))
    hosts = _hosts(hostlist, address)
    login = quote(user, safe="") + (":" + quote(password, safe="") if password else "") + "@"
    tail = "&".join(f"{name}={quote(value, safe='/')}" for name, value in parameters.items())
    return f"postgresql://{login.lstrip('@')}{hosts}/{quote(database, safe='')}?{tail}".removesuffix("?")


def _split(url: str) -> tuple[str, str, str, str]:
    scheme, separator, rest = url.strip().partition("://")
    if not separator or scheme.lower() not in SCHEMES:
        raise ValueError(
            f"does not start with a scheme of PostgreSQL; allowed: {', '.join(s + '://' for s in SCHEMES)}"
        )
    rest, _, query = rest.partition("?")
    # From the right: a password may contain an unencoded @, the name of a host cannot.
    login, _, address = rest.rpartition("@")
    hostlist, _, path = address.partition("/")
    if "/" in path + login or "#" in rest + query or "@" in query:
        raise ValueError(
            "cannot be split into postgresql://user:password@host:port/database;"
            " percent-encode / ? # and % in a user name or password (%2F %3F %23 %25)"
        )
    return login, hostlist, path, query


def _read_query(query: str) -> tuple[dict[str, str], dict[str, str]]:
    """The parts of the address and the other parameters; repeated hosts, as SQLAlchemy writes them, are joined."""
    address: dict[str, str] = {}
    parameters: dict[str, str] = {}
    for given, value in parse_qsl(query):
        name = ALIASES.get(given, given)
        if name == "host" and "host" in address:
            address["host"] += "," + value
        elif name in ADDRESS:
            address[name] = _one(name, address.get(name, ""), value)
        else:
            parameters[name] = _one(given, parameters.get(name, ""), value)
    return address, parameters


def _unknown(name: str) -> str:
    return (
        f"has a parameter that asyncpg and psycopg do not both know: {name[:40]!r};"
        f" allowed: {', '.join((*ADDRESS, *PARAMETERS))}"
    )


def _one(name: str, first: str, second: str) -> str:
    if first and second and first != second:
        raise ValueError(f"gives its {name} twice, and the two differ; allowed: once")
    return first or second


def _hosts(hostlist: str, address: dict[str, str]) -> str:
    """`h1:5432,[::1]:5433,%2Frun%2Fpostgresql`: the form that both drivers take for names, addresses and sockets."""
    if hostlist and "host" in address:
        raise ValueError("gives its host twice, before and after the question mark; allowed: once")
    specs = [unquote(spec) for spec in hostlist.split(",")] if hostlist else address.get("host", "").split(",")
    pairs = [_host_and_port(spec) for spec in specs]
    ports = address["port"].split(",") if "port" in address else []
    if len(ports) not in {0, 1, len(pairs)}:
        raise ValueError(
            "has a number of ports that is not the number of its hosts; allowed: one, or one for each host"
        )
    if ports:
        shared = ports * len(pairs) if len(ports) == 1 else ports
        pairs = [(host, port or other) for (host, port), other in zip(pairs, shared, strict=True)]
    return ",".join(_spec(host, port) for host, port in pairs)


def _host_and_port(spec: str) -> tuple[str, str]:
    if spec.startswith("/"):
        # A socket's folder; its port, if any, is what follows the last colon.
        folder, _, port = spec.rpartition(":")
        return (folder, port) if port.isdigit() and folder else (spec, "")
    if spec.startswith("["):
        host, _, port = spec[1:].partition("]")
        return host, port.removeprefix(":")
    if spec.count(":") > 1:
        return spec, ""
    host, _, port = spec.partition(":")
    return host, port


def _spec(host: str, port: str) -> str:
    if port and not (port.isdecimal() and 0 < int(port) < 65536):
        raise ValueError("has a port that is not a number; allowed: 1 to 65535")
    shown = f"[{host}]" if ":" in host and not host.startswith("/") else quote(host, safe="")
    return f"{shown}:{port}" if port else shown
