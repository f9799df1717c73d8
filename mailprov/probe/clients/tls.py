"""TLS contexts, and what a served certificate says about itself.

Public: looking_context, verifying_context, Leaf, remaining_fraction, why_untrusted. Raises ProtocolError for a
certificate that cannot be read, else nothing of its own.

Two kinds of context. The *verifying* one is for everything that sends a secret. The *looking* one verifies
nothing and is only for reading what a stranger may read (certificates, capabilities), so that chain, name and
dates can be judged one by one.
"""

from __future__ import annotations

import datetime
import ssl
from pathlib import Path

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from mailprov.i18n import _
from mailprov.model.hostnames import matches
from mailprov.model.values import dataclass
from mailprov.probe.clients.connection import printable
from mailprov.probe.clients.errors import ProtocolError

# What cryptography says of certificates that OpenSSL has let pass.
_UNREADABLE = (
    ValueError,
    TypeError,
    OverflowError,
    UnsupportedAlgorithm,
    x509.DuplicateExtension,
    x509.InvalidVersion,
    x509.UnsupportedGeneralNameType,
)


def looking_context() -> ssl.SSLContext:
    """A context that accepts any certificate: never send a secret over it."""
    tls_context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    tls_context.check_hostname = False
    tls_context.verify_mode = ssl.CERT_NONE
    return tls_context


def verifying_context(ca_file: Path | None, *, check_name: bool = True) -> ssl.SSLContext:
    """A context that trusts the system's store and `ca_file`. Raises OSError when the file cannot be read.

    Not ssl.create_default_context: from Python 3.13 on that sets VERIFY_X509_STRICT, and a verdict must not
    depend on the Python that happens to run mailprov.
    """
    tls_context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    tls_context.check_hostname = check_name
    tls_context.load_default_certs(ssl.Purpose.SERVER_AUTH)
    if ca_file is not None:
        tls_context.load_verify_locations(cafile=str(ca_file.expanduser()))
    return tls_context


@dataclass(frozen=True)
class Leaf:
    """A served certificate. `names` are its DNS names (SAN); times are aware datetimes in UTC."""

    der: bytes
    subject: str
    issuer: str
    names: tuple[str, ...]
    not_before: datetime.datetime
    not_after: datetime.datetime
    self_signed: bool
    key: bytes = b""  # SubjectPublicKeyInfo

    def is_for(self, host: str) -> bool:
        """Whether one of its names is this host's (RFC 9525)."""
        return any(matches(name, host) for name in self.names)

    @classmethod
    def parse(cls, der: bytes) -> Leaf:
        """Raises ProtocolError when the bytes are no certificate, or one that cannot be read."""
        try:
            return cls._read(der, x509.load_der_x509_certificate(der))
        except _UNREADABLE as error:
            raise ProtocolError(
                _("the certificate cannot be read: {error}").format(error=printable(str(error)))
            ) from None

    @classmethod
    def _read(cls, der: bytes, certificate: x509.Certificate) -> Leaf:
        try:
            san = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
            names = tuple(san.get_values_for_type(x509.DNSName))
        except x509.ExtensionNotFound:
            names = ()
        return cls(
            der,
            certificate.subject.rfc4514_string(),
            certificate.issuer.rfc4514_string(),
            names,
            certificate.not_valid_before_utc,
            certificate.not_valid_after_utc,
            _signed_by_itself(certificate),
            certificate.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo),
        )


def _signed_by_itself(certificate: x509.Certificate) -> bool:
    try:
        certificate.verify_directly_issued_by(certificate)
    except (ValueError, TypeError, InvalidSignature, UnsupportedAlgorithm):
        return False
    return True


def remaining_fraction(leaf: Leaf, now: datetime.datetime) -> float:
    """The part of the lifetime that is left: 1 when just made, 0 at its end, negative after it, above 1
    before its start.

    A fraction and not days, because certificates of 6, 45, 90 and 3650 days are all in use.
    """
    lifetime = (leaf.not_after - leaf.not_before).total_seconds()
    return (leaf.not_after - now).total_seconds() / lifetime if lifetime > 0 else -1.0


# OpenSSL's numbers (X509_V_ERR_…): the chain is as it should be, and nobody knows who began it.
_SELF_SIGNED_LEAF, _UNKNOWN_ISSUERS = 18, (19, 20, 21)


def case_of(error: ssl.SSLCertVerificationError) -> str:
    """`self-signed`, `unknown-issuer`, or nothing: then more is wrong than that nobody knows the authority."""
    if error.verify_code == _SELF_SIGNED_LEAF:
        return "self-signed"
    return "unknown-issuer" if error.verify_code in _UNKNOWN_ISSUERS else ""


def why_untrusted(error: ssl.SSLCertVerificationError) -> str:
    """OpenSSL's reason in its own words, such as `certificate has expired`."""
    return error.verify_message or str(error)
