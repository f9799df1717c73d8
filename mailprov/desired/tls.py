"""The host's key and certificate: given as files, or made on the host.

    prepare()                      loads what takes its time to load
    material(host) -> Material     raises InputError when given files are missing, not PEM, or do not fit

Given files are checked before anything is touched: readable, PEM, the key belongs to the first certificate,
and that certificate covers the host's name (RFC 9525: the DNS names in subjectAltName count, the common name
does not).
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from mailprov.desired.state import Certificate, File
from mailprov.errors import InputError
from mailprov.model.inventory import Host, TlsMode

FOLDER = "/etc/mailprov/tls"


@dataclass(frozen=True)
class Material:
    """Paths on the host, and how what lies there comes about."""

    certificate: str
    key: str
    files: tuple[File, ...] = ()
    certificates: tuple[Certificate, ...] = ()


def material(host: Host) -> Material:
    """What the host's TLS needs. Reads the certificate and key files of mode `files`, nothing else."""
    certificate, key = f"{FOLDER}/{host.fqdn}.crt", f"{FOLDER}/{host.fqdn}.key"
    if host.tls.mode is TlsMode.SELF_SIGNED:
        # Under names of its own: else a given certificate, still good for the name, would stay after a change of mode.
        certificate, key = f"{FOLDER}/{host.fqdn}.self-signed.crt", f"{FOLDER}/{host.fqdn}.self-signed.key"
        return Material(certificate, key, certificates=(Certificate((host.fqdn,), certificate, key),))
    where = f"host {host.name}"
    if host.tls.certificate is None or host.tls.key is None:
        raise InputError(where, "tls mode files needs both certificate and key", "Name the two files")
    chain, private = _read(where, host.tls.certificate), _read(where, host.tls.key)
    _check(where, host, chain, private)
    return Material(
        certificate,
        key,
        files=(
            File(certificate, chain.decode("ascii")),
            File(key, private.decode("ascii"), mode="0600", secret=True),
        ),
    )


def _read(where: str, path: Path) -> bytes:
    try:
        data = path.read_bytes()
    except OSError as error:
        reason = error.strerror or type(error).__name__
        raise InputError(where, f"cannot read {path}: {reason}", "Check the path under tls") from None
    if not data.isascii():
        raise InputError(where, f"{path} is not PEM", "Give a text file with -----BEGIN …----- lines")
    return data


def prepare() -> None:
    """Loads what given files are checked with."""
    from cryptography import x509  # noqa: F401


def _check(where: str, host: Host, chain: bytes, private: bytes) -> None:
    # Imported here: cryptography is slow to load, and most hosts have no files to check.
    from cryptography import x509
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_private_key

    certificate_path, key_path = host.tls.certificate, host.tls.key
    try:
        certificates = x509.load_pem_x509_certificates(chain)
    except ValueError:
        raise InputError(
            where, f"{certificate_path} holds no PEM certificate", "Give the host's certificate, leaf first"
        ) from None
    try:
        key = load_pem_private_key(private, password=None)
    except TypeError:
        raise InputError(
            where,
            f"the key {key_path} is encrypted, and the daemons could not start without someone typing",
            "Give it without a passphrase (openssl pkey)",
        ) from None
    except (ValueError, UnsupportedAlgorithm):
        raise InputError(
            where, f"{key_path} holds no PEM private key", "Give the certificate's key"
        ) from None

    spki = key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    fits = [
        item.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo) == spki
        for item in certificates
    ]
    if not fits[0]:
        advice = (
            "Put the host's certificate first, then the intermediates" if any(fits) else "Give its own key"
        )
        raise InputError(
            where,
            f"the key {key_path} does not belong to the first certificate in {certificate_path}",
            advice,
        )
    try:
        names = certificates[0].extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        dns_names = names.get_values_for_type(x509.DNSName)
    except x509.ExtensionNotFound:
        dns_names = []
    if not any(covers(name, host.fqdn) for name in dns_names):
        seen = ", ".join(dns_names) or "no DNS name"
        raise InputError(
            where,
            f"the certificate {certificate_path} is for {seen}, and not for {host.fqdn}",
            "Get one whose subjectAltName holds the host's fqdn",
        )


def covers(name: str, fqdn: str) -> bool:
    """RFC 9525 section 6.3: the same name, or `*` as the whole first label in place of exactly one."""
    name, fqdn = name.lower().rstrip("."), fqdn.lower()
    if name.startswith("*."):
        return fqdn.partition(".")[2] == name[2:] and "." in name[2:]
    return name == fqdn
