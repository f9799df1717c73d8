"""Certificates for the scripted servers: an authority, and leaves that are right or wrong in one way each.

Public: KINDS, Pair, make, Authority. They are written into the folder that an Authority is given. Raises nothing.
"""

from __future__ import annotations

import datetime
import ssl
import threading
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import NameOID

from mailprov.model.values import dataclass

KINDS = (
    "wrong-name",
    "expired",
    "ageing",
    "nearly-over",
    "early",
    "unknown-ca",
    "self-signed",
    "self-signed-again",
    "rsa-1024",
)
DAY = datetime.timedelta(days=1)


def _name(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


@dataclass
class Pair:
    certificate: x509.Certificate
    key: ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey


def make(
    names: tuple[str, ...],
    issuer: Pair | None,
    *,
    before: float = -10,
    after: float = 80,
    authority: bool = False,
    weak: bool = False,
) -> Pair:
    """A certificate valid from `before` to `after` days from now; self-signed without an issuer. `weak`: with
    a key that is too short.
    """
    now = datetime.datetime.now(datetime.timezone.utc)
    key: ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey
    key = ec.generate_private_key(ec.SECP256R1())
    if weak:
        key = rsa.generate_private_key(65537, 1024)  # noqa: S505
    subject = _name(names[0])
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer.certificate.subject if issuer else subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now + before * DAY)
        .not_valid_after(now + after * DAY)
        .add_extension(x509.BasicConstraints(authority, None), True)
    )
    if not authority:
        builder = builder.add_extension(x509.SubjectAlternativeName([x509.DNSName(n) for n in names]), False)
    return Pair(builder.sign(issuer.key if issuer else key, hashes.SHA256()), key)


class Authority:
    """A private CA whose certificate lies in `file`, and server contexts with leaves of all kinds."""

    def __init__(self, folder: Path, name: str = "Test CA") -> None:
        self.folder = folder
        self.pair = make((name,), None, authority=True, after=3650)
        self.stranger = make(("Stranger CA",), None, authority=True, after=3650)
        self.file = folder / "ca.pem"
        self.file.write_bytes(self.pair.certificate.public_bytes(serialization.Encoding.PEM))
        self._lock = threading.Lock()
        self._made: dict[tuple[str, str], ssl.SSLContext] = {}

    def context(self, fqdn: str, kind: str = "right") -> ssl.SSLContext:
        """`kind`: right, or one of KINDS."""
        key = (fqdn, kind)
        with self._lock:
            if key not in self._made:
                self._made[key] = self._load(fqdn, kind)
            return self._made[key]

    def _load(self, fqdn: str, kind: str) -> ssl.SSLContext:
        names = ("elsewhere.test",) if kind == "wrong-name" else (fqdn,)
        issuer = {"unknown-ca": self.stranger, "self-signed": None, "self-signed-again": None}.get(
            kind, self.pair
        )
        before, after = {
            "expired": (-90, -1),
            "ageing": (-70, 20),
            "nearly-over": (-88, 2),
            "early": (1, 90),
        }.get(kind, (-10, 80))
        pair = make(names, issuer, before=before, after=after, weak=kind == "rsa-1024")
        path = self.folder / f"{fqdn}-{kind}.pem"
        path.write_bytes(
            pair.key.private_bytes(
                serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
            )
            + pair.certificate.public_bytes(serialization.Encoding.PEM)
        )
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.set_ciphers("DEFAULT:@SECLEVEL=0")  # OpenSSL shows no weak certificate otherwise
        context.load_cert_chain(path)
        return context
