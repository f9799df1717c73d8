"""Keys, certificates and secrets of a lab: made once when it comes up, kept over resets, gone with it.

    make_keys   all of them, into the lab's directory
    TSIG_NAME, TSIG_ALGORITHM

The CA and its certificates carry what strict checkers ask for (RFC 5280 section 4.2.1: basicConstraints,
keyUsage, subject and authority key identifiers); Python 3.13 refuses chains without them.
"""

from __future__ import annotations

import base64
import os
import secrets
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta, timezone
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from mailprov.lab.paths import LabPaths
from mailprov.lab.state import LabHost

TSIG_NAME = "mailprov-lab"
TSIG_ALGORITHM = "hmac-sha256"
_DAY = timedelta(days=1)
_PrivateKey = ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey


def make_keys(
    paths: LabPaths,
    hosts: Iterable[LabHost],
    passwords: Mapping[str, str],
    names: Mapping[str, Sequence[str]],
) -> None:
    """SSH keys and known_hosts, CA and a certificate per host, TSIG secret, the passwords of the accounts by address.

    `names` are those that a host has besides its fqdn, by host name.
    """
    for directory in ("secrets", "tls", "ssh"):
        (paths.directory / directory).mkdir(mode=0o700, exist_ok=True)
    user_key = ed25519.Ed25519PrivateKey.generate()
    _write(paths.identity, _openssh_private(user_key), 0o600)
    _write(paths.identity.with_suffix(".pub"), _openssh_public(user_key) + b" mailprov-lab\n")
    ca_key = ec.generate_private_key(ec.SECP256R1())
    ca = _authority(paths.name, ca_key)
    _write(paths.directory / "ca.key", _pem_private(ca_key), 0o600)
    _write(paths.ca, ca.public_bytes(serialization.Encoding.PEM))
    known = []
    for host in hosts:
        host_key = ed25519.Ed25519PrivateKey.generate()
        _write(ssh_host_key(paths, host), _openssh_private(host_key), 0o600)
        public = _openssh_public(host_key)
        _write(ssh_host_key(paths, host).with_suffix(".pub"), public + b"\n")
        addresses = ",".join(name for name in (host.address, host.address6) if name)
        known.append(addresses.encode() + b" " + public + b"\n")
        key = ec.generate_private_key(ec.SECP256R1())
        _write(paths.key(host.name), _pem_private(key), 0o600)
        leaf = _leaf((host.fqdn, *names.get(host.name, ())), key, ca, ca_key)
        _write(paths.certificate(host.name), leaf.public_bytes(serialization.Encoding.PEM))
    _write(paths.known_hosts, b"".join(known))
    _write(paths.secret("tsig"), base64.b64encode(secrets.token_bytes(32)) + b"\n", 0o600)
    for account, password in passwords.items():
        _write(paths.secret(account), password.encode() + b"\n", 0o600)
    for directory in ("secrets", "tls"):
        give(paths.directory / directory)


def ssh_host_key(paths: LabPaths, host: LabHost) -> Path:
    """The host's private SSH key; the public one is beside it with the ending .pub."""
    return paths.directory / "ssh" / host.name


def give(path: Path) -> None:
    """Gives the path to the user who called sudo, so that `mailprov apply` works without root."""
    user, group = os.environ.get("SUDO_UID", ""), os.environ.get("SUDO_GID", "")
    if user.isdigit() and group.isdigit():
        os.chown(path, int(user), int(group))


def _write(path: Path, content: bytes, mode: int = 0o644) -> None:
    path.unlink(missing_ok=True)
    file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    with os.fdopen(file, "wb") as stream:
        os.fchmod(file, mode)
        stream.write(content)
    give(path)


def _openssh_private(key: _PrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.OpenSSH, serialization.NoEncryption()
    )


def _openssh_public(key: ed25519.Ed25519PrivateKey) -> bytes:
    return key.public_key().public_bytes(serialization.Encoding.OpenSSH, serialization.PublicFormat.OpenSSH)


def _pem_private(key: _PrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def _name(common_name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name[:64])])


def _usage(*, sign: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not sign, key_cert_sign=sign, crl_sign=sign,
        content_commitment=False, key_encipherment=False,
        data_encipherment=False, key_agreement=False, encipher_only=False, decipher_only=False,
    )  # fmt: skip


def _authority(lab: str, key: ec.EllipticCurvePrivateKey) -> x509.Certificate:
    now = datetime.now(timezone.utc)
    name = _name(f"mailprov lab {lab} CA")
    identifier = x509.SubjectKeyIdentifier.from_public_key(key.public_key())
    return (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _DAY)
        .not_valid_after(now + 3650 * _DAY)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_usage(sign=True), critical=True)
        .add_extension(identifier, critical=False)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(identifier), critical=False
        )
        .sign(key, hashes.SHA256())
    )


def _leaf(
    names: Sequence[str],
    key: ec.EllipticCurvePrivateKey,
    ca: x509.Certificate,
    ca_key: ec.EllipticCurvePrivateKey,
) -> x509.Certificate:
    now = datetime.now(timezone.utc)
    issuer = ca.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value
    return (
        x509.CertificateBuilder()
        .subject_name(_name(names[0]))
        .issuer_name(ca.subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _DAY)
        .not_valid_after(now + 397 * _DAY)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_usage(sign=False), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name) for name in names]), critical=False)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(issuer), critical=False)
        .sign(ca_key, hashes.SHA256())
    )
