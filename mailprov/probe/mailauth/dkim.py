"""DKIM signatures of a message, verified against keys as they are published (RFC 6376, RFC 8301, RFC 8463). Pure.

Public: signatures, verify, key_of, Signature, PublicKey, BadSignature. Raises BadSignature, whose text says why.
rsa-sha256 and ed25519-sha256, simple and relaxed; the bytes must be those that a server gave, with CRLF line ends.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
from typing import Any

from mailprov.i18n import _
from mailprov.model.values import dataclass

_WSP = re.compile(rb"[ \t]+")


class BadSignature(ValueError):
    """The signature does not hold; the text is the reason."""


@dataclass(frozen=True)
class Signature:
    """One DKIM-Signature field: its tags, and the field as it stands."""

    tags: dict[str, str]
    field: bytes

    @property
    def domain(self) -> str:
        return self.tags.get("d", "").lower()

    @property
    def selector(self) -> str:
        return self.tags.get("s", "").lower()

    @property
    def signed(self) -> list[str]:
        """The names of the fields it covers, in lower case."""
        return [name.strip().lower() for name in self.tags.get("h", "").split(":")]

    @property
    def record(self) -> str:
        """Where its key is published."""
        return f"{self.selector}._domainkey.{self.domain}"


@dataclass(frozen=True)
class PublicKey:
    """`key` is of cryptography; `bits` of an RSA key, else 0; `testing`: the domain says it only tries DKIM (t=y)."""

    kind: str
    key: Any
    bits: int
    testing: bool


def signatures(message: bytes) -> list[Signature]:
    """All DKIM-Signature fields, the topmost first."""
    found = [field for name, field in _fields(message) if name == "dkim-signature"]
    return [Signature(_tags(field.partition(b":")[2]), field) for field in found]


def key_of(text: str) -> PublicKey:
    """The key in a TXT record."""
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
    from cryptography.hazmat.primitives.serialization import load_der_public_key

    tags = _tags(text.encode("utf-8", "replace"))
    kind = tags.get("k", "rsa")
    if tags.get("v", "DKIM1") != "DKIM1":
        raise BadSignature(_("the record is no DKIM key (v= is not DKIM1)"))
    if not tags.get("p"):
        raise BadSignature(_("the record says that the key is revoked (p= is empty)"))
    if "sha256" not in _listed(tags.get("h", "sha256")):
        raise BadSignature(
            _("the record allows only hashes other than SHA-256 (h={value})").format(value=tags["h"])
        )
    if not {"*", "email"} & set(_listed(tags.get("s", "*"))):
        raise BadSignature(
            _("the record says that its key is not for mail (s={value})").format(value=tags["s"])
        )
    testing = "y" in tags.get("t", "").split(":")
    try:
        data = base64.b64decode(re.sub(r"\s", "", tags["p"]), validate=True)
        if kind == "ed25519":
            return PublicKey(kind, Ed25519PublicKey.from_public_bytes(data), 0, testing)
        key = load_der_public_key(data)
    except (ValueError, binascii.Error, UnsupportedAlgorithm):
        raise BadSignature(_("the record holds no readable key")) from None
    if kind != "rsa":
        raise BadSignature(_("the record's type of key is not known (k={type})").format(type=kind))
    if not isinstance(key, RSAPublicKey):
        raise BadSignature(_("the record says k=rsa, and its key is of another type"))
    return PublicKey(kind, key, key.key_size, testing)


def _listed(value: str) -> list[str]:
    return [each.strip().lower() for each in value.split(":")]


def verify(message: bytes, signature: Signature, public: PublicKey) -> None:
    """Returns when body and fields are as they were signed, else raises BadSignature."""
    tags = signature.tags
    algorithm = tags.get("a", "")
    if not algorithm:
        raise BadSignature(_("it names no algorithm (a=)"))
    if algorithm != f"{public.kind}-sha256":
        raise BadSignature(
            _("its algorithm is {algorithm}, and the published key is of type {type}").format(
                algorithm=algorithm, type=public.kind
            )
        )
    if "from" not in signature.signed:
        raise BadSignature(_("it does not cover From"))
    if "l" in tags:
        raise BadSignature(_("it covers only a part of the body (l=)"))
    header_form, __, body_form = tags.get("c", "simple/simple").partition("/")
    body = _body(message.partition(b"\r\n\r\n")[2], body_form or "simple")
    if hashlib.sha256(body).digest() != _decoded(tags.get("bh", "")):
        raise BadSignature(_("the body was changed after it was signed"))
    try:
        _check(public, _decoded(tags.get("b", "")), _header(message, signature, header_form))
    except _invalid() as error:
        raise BadSignature(
            _("a header field was changed after it was signed, or the published key is not the signer's")
        ) from error


def tampered(message: bytes) -> tuple[bytes, bytes]:
    """The message with one octet more in the body, and with one more in From: no signature of it holds then."""
    header, empty, body = message.partition(b"\r\n\r\n")
    return header + empty + b"x" + body, re.sub(rb"(?im)^From:[ \t]*", rb"\g<0>x", header) + empty + body


def _invalid() -> type[Exception]:
    from cryptography.exceptions import InvalidSignature

    return InvalidSignature


def _check(public: PublicKey, value: bytes, data: bytes) -> None:
    from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
    from cryptography.hazmat.primitives.hashes import SHA256

    if public.kind == "ed25519":
        public.key.verify(value, hashlib.sha256(data).digest())  # RFC 8463 section 3: the digest is signed
    else:
        public.key.verify(value, data, PKCS1v15(), SHA256())


def _decoded(text: str) -> bytes:
    try:
        return base64.b64decode(re.sub(r"\s", "", text), validate=True)
    except (ValueError, binascii.Error):
        raise BadSignature(_("it is not readable (base64)")) from None


def _fields(message: bytes) -> list[tuple[str, bytes]]:
    """Names in lower case, and fields whole, with their folding and line end."""
    header = message.partition(b"\r\n\r\n")[0] + b"\r\n"
    fields = re.findall(rb"[^\r\n][^\n]*\n(?:[ \t][^\n]*\n)*", header)
    return [(field.partition(b":")[0].strip().decode("latin-1").lower(), field) for field in fields]


def _tags(text: bytes) -> dict[str, str]:
    """RFC 6376 section 3.2."""
    found: dict[str, str] = {}
    for part in text.decode("latin-1").split(";"):
        name, equals, value = part.partition("=")
        if equals:
            found[name.strip()] = re.sub(r"\r\n", "", value).strip()
    return found


def _body(body: bytes, form: str) -> bytes:
    """RFC 6376 sections 3.4.3 and 3.4.4."""
    if form == "relaxed":
        lines = [_WSP.sub(b" ", line).rstrip(b" ") for line in body.split(b"\r\n")]
        body = b"\r\n".join(lines)
    body = re.sub(rb"(\r\n)+\Z", b"", body)
    if not body and form == "relaxed":
        return b""
    return body + b"\r\n"


def _field(field: bytes, form: str) -> bytes:
    """RFC 6376 sections 3.4.1 and 3.4.2."""
    if form != "relaxed":
        return field
    name, __, value = field.partition(b":")
    value = _WSP.sub(b" ", value.replace(b"\r\n", b"")).strip(b" \t")
    return name.strip().lower() + b":" + value + b"\r\n"


def _header(message: bytes, signature: Signature, form: str) -> bytes:
    """What is signed of the header: of each name the last field not taken yet, then the signature without its b=."""
    left: dict[str, list[bytes]] = {}
    for name, field in _fields(message):
        left.setdefault(name, []).append(field)
    chosen = [left[name].pop() for name in signature.signed if left.get(name)]
    bare = re.sub(rb"([;:\s]b[ \t\r\n]*=)[^;]*", rb"\1", signature.field, count=1)
    if not bare.endswith(b"\r\n"):
        bare += b"\r\n"
    return b"".join(_field(each, form) for each in chosen) + _field(bare, form).removesuffix(b"\r\n")
