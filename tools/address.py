"""A remote's address, taken apart strictly: what cannot be parsed is refused and never shown, since it may hold a
secret in a place where nobody looks for one.
"""

import re
from typing import NamedTuple
from urllib.parse import unquote, urlsplit

from effnet.errors import InputError

# the name of a remote is that of its kind, so that none is given the keys of another kind
KINDS = {"s3": "s3", "ssh": "ssh", "http": "http", "https": "http"}
HOST = re.compile(r"[A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?|\[[0-9A-Fa-f:.]+\]")
BUCKET = re.compile(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]")  # Amazon's rule
USER = re.compile(r"[A-Za-z0-9._-]+")
SHAPES = {
    "s3": "s3://bucket/path; keys come from the environment",
    "ssh": "ssh://user:password@host:port/path",
    "http": "https://user:password@host:port/path",
}


class Address(NamedTuple):
    """kind: folder, s3, ssh or http; url: without password, and with the user only in ssh's; user and password: as they
    are, not escaped.
    """

    kind: str
    url: str
    user: str = ""
    password: str = ""


def parse(text, what="URL"):
    """The Address that `text` writes. Raises InputError, which shows no more of it than its kind, for any other."""
    scheme, found, rest = text.partition("://")
    if not found:
        if re.match(r"[^/]*@[^/]*:", text) or any(ord(letter) < 32 for letter in text) or not text.strip():
            raise InputError(f"{what}: not the path of a folder; another machine is written ssh://user@host/path")
        return Address("folder", text)
    if scheme not in KINDS:
        shown = scheme if re.fullmatch(r"[a-z0-9+]{1,9}", scheme) else "..."
        raise InputError(f"{what}={shown}://...: expected a folder, {', '.join(SHAPES.values())}")
    kind = KINDS[scheme]
    wrong = InputError(
        f"{what}={scheme}://...: not of the form {SHAPES[kind]}; "
        "in a password write @ : / # ? % as %40 %3A %2F %23 %3F %25"
    )
    account, at, rest = rest.rpartition("@") if "@" in rest else ("", "", rest)
    place, slash, path = rest.partition("/")
    host, colon, port = place.rpartition(":") if re.search(r":[^\]]*$", place) else (place, "", "")
    user, _, password = account.partition(":")
    if (
        re.search(r"[?#\s]|%(?![0-9A-Fa-f]{2})", text)
        or re.search(r"[/@:]", password)
        or (at and not USER.fullmatch(unquote(user)))
        or not (BUCKET if kind == "s3" else HOST).fullmatch(host)
        or (colon and not (port.isascii() and port.isdigit() and 0 < int(port) < 65536))
        or (kind == "s3" and (at or colon))
        or (kind == "http" and bool(user) != bool(password))
    ):
        raise wrong
    named = f"{user}@" if user and kind == "ssh" else ""  # DVC takes it from the address there, and only there
    return Address(kind, f"{scheme}://{named}{place}{slash}{path}", unquote(user), unquote(password))


def endpoint(text):
    """`text` if it is an S3 server's address: http or https, no user, no password."""
    found = parse(text, "ENDPOINT")
    if found.kind != "http" or found.user:
        raise InputError("ENDPOINT: expected http://host:port or https://host:port, without user and password")
    return text


def has_secret(text):
    """Whether an address that stands in a file holds a password, or something that only looks like no password.

    Of DVC's other kinds (gs://, azure://, ...), which we do not write, that is a user's password or a query.
    """
    scheme, found, _ = text.partition("://")
    if found and scheme not in KINDS:
        return bool(urlsplit(text).password or "?" in text)
    try:
        return bool(parse(text).password)
    except InputError:
        return True
