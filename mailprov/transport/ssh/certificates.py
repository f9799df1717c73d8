"""OpenSSH's certificates (PROTOCOL.certkeys): a host's checked against its authority, a user's matched to its key.

    CERTIFICATE                        the end of their algorithms' names
    Certificate                        what one says
    parse(blob) -> Certificate         raises ValueError
    fits(blob, key)                    is this certificate (wire format) about this public key?
    refusal(certificate, name, now)    why it does not prove the host `name`, or ""
    signed_by(certificate)             checks the authority's signature over it

paramiko can use certificates and checks nothing in them; the signature itself is left to its key classes.
"""

from __future__ import annotations

import time
from typing import NamedTuple

import paramiko
from paramiko.message import Message

from mailprov.i18n import _

CERTIFICATE = "-cert-v01@openssh.com"
HOST = 2  # the type of a host's certificate; 1 is a user's
_FIELDS = {"ssh-ed25519": 1, "ecdsa-sha2-nistp256": 2, "ecdsa-sha2-nistp384": 2, "ecdsa-sha2-nistp521": 2}
_FIELDS["ssh-rsa"] = 2


class Certificate(NamedTuple):
    key: bytes  # the certified public key in wire format
    kind: int
    serial: int
    key_id: str
    principals: tuple[str, ...]
    not_before: int
    not_after: int
    critical: bool  # holds critical options; a host's has none that we could know
    authority: bytes  # the authority's public key in wire format
    signature: bytes
    signed: bytes  # what the signature is over


def parse(blob: bytes) -> Certificate:
    """The fields of a certificate in wire format. Raises ValueError for anything else."""
    try:
        reader = _Reader(blob)
        name = reader.string().decode("ascii")
        plain = name.removesuffix(CERTIFICATE)
        if plain == name or plain not in _FIELDS:
            raise ValueError(
                _("{type} is a type of certificate that mailprov does not know").format(type=name[:60])
            )
        reader.string()  # nonce
        fields = [reader.string() for _each in range(_FIELDS[plain])]
        serial, kind = reader.number(8), reader.number(4)
        key_id = reader.string().decode("utf-8", "replace")
        names = _Reader(reader.string())
        principals = []
        while names.left:
            principals.append(names.string().decode("utf-8", "replace"))
        not_before, not_after = reader.number(8), reader.number(8)
        critical = bool(reader.string())
        reader.string()  # extensions
        reader.string()  # reserved
        authority = reader.string()
        signed = blob[: reader.position]
        signature = reader.string()
        parts = _Reader(signature)
        parts.string()
        parts.string()
        if reader.left or parts.left:  # nobody has signed what comes after
            raise ValueError(_("there is data after its end"))
    except (IndexError, UnicodeDecodeError) as error:
        raise ValueError(_("it is cut off or damaged")) from error
    key = b"".join(len(each).to_bytes(4, "big") + each for each in (plain.encode(), *fields))
    return Certificate(
        key,
        kind,
        serial,
        key_id,
        tuple(principals),
        not_before,
        not_after,
        critical,
        authority,
        signature,
        signed,
    )


def fits(blob: bytes, key: bytes) -> bool:
    """Both in wire format."""
    try:
        return parse(blob).key == key
    except ValueError:
        return False


def refusal(certificate: Certificate, name: str, now: float | None = None) -> str:
    """Why a certificate of a known authority is no proof for the host `name`; empty when it is."""
    now = time.time() if now is None else now
    if certificate.kind != HOST:
        return _("it is a user's certificate, not a host's")
    if not signed_by(certificate):
        return _("its signature is wrong")
    if now < certificate.not_before:
        return _("it is not valid before {date}").format(date=_date(certificate.not_before))
    if now >= certificate.not_after:
        return _("it has expired on {date}").format(date=_date(certificate.not_after))
    if certificate.critical:
        return _("it holds critical options, which no host certificate should")
    # Letter by letter, as ssh does: `*.example.org` is no pattern. One without names would be for every host.
    if name.lower() not in [each.lower() for each in certificate.principals]:
        return _("it is for {names}, not for {name}").format(
            names=", ".join(certificate.principals[:5]) or _("no name"), name=name
        )
    return ""


def signed_by(certificate: Certificate) -> bool:
    """Does the authority's key, as named in the certificate, stand behind its content?"""
    try:
        kind = _Reader(certificate.authority).string().decode("ascii")
        authority = paramiko.PKey.from_type_string(kind, certificate.authority)
        return bool(authority.verify_ssh_sig(certificate.signed, Message(certificate.signature)))
    except Exception:  # an authority of a kind that paramiko has not, such as a security key
        return False


def _date(seconds: int) -> str:
    try:
        return time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime(seconds))
    except (OverflowError, ValueError, OSError):
        return str(seconds)


class _Reader:
    """RFC 4251 section 5. IndexError at the end of the data."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self.position = 0

    @property
    def left(self) -> int:
        return len(self._data) - self.position

    def take(self, count: int) -> bytes:
        if count > self.left:
            raise IndexError
        self.position += count
        return self._data[self.position - count : self.position]

    def number(self, count: int) -> int:
        return int.from_bytes(self.take(count), "big")

    def string(self) -> bytes:
        return self.take(self.number(4))
