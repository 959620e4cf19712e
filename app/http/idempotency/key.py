"""The header Idempotency-Key, as draft-ietf-httpapi-idempotency-key-header describes it."""

import hashlib
import re

from starlette.requests import Request

from app.http.errors import RequestError

HEADER = "Idempotency-Key"
LONGEST_KEY = 255
# The draft's syntax is a String of RFC 8941. Most clients send a UUID without quotes, so a bare word is taken as well.
_STRING = re.compile(r'"((?:[ !#-\[\]-~]|\\["\\])+)"', re.ASCII)
_WORD = re.compile(r"[!#-+\-./0-9:<-\[\]-~]+", re.ASCII)
_ESCAPE = re.compile(r"\\(.)")
_WRONG = (
    f'must be one text of 1 to {LONGEST_KEY} printable ASCII characters in double quotes, such as "8e03978e-40d5-43e8-'
    'bc93-6894a57f9324"; the quotes may be left out where it has no space, quote, comma, semicolon or backslash'
)


def sent_key(request: Request) -> str:
    """Return the key of a request that has one; with and without quotes it is the same.

    Raises RequestError with 400 for several keys, and for one that is empty, too long or has other characters.
    """
    sent = request.headers.getlist(HEADER)
    text = sent[0].strip(" \t")
    quoted = _STRING.fullmatch(text)
    key = _ESCAPE.sub(r"\1", quoted[1]) if quoted else text
    if len(sent) > 1 or not (quoted or _WORD.fullmatch(text)) or len(key) > LONGEST_KEY:
        raise RequestError(400, {HEADER: [_WRONG]})
    return key


def fingerprint(request: Request, body: bytes) -> bytes:
    """Return 32 bytes that tell the request from others by its method, path, query and body.

    It is of the bytes: a body with the same JSON in other words is another one.
    """
    scope = request.scope
    digest = hashlib.sha256()
    for part in (scope["method"].encode(), scope["path"].encode("utf-8", "surrogatepass"), scope["query_string"], body):
        digest.update(len(part).to_bytes(8, "big") + part)
    return digest.digest()
