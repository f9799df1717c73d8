"""The probe `tls.key`: how strong the key of a certificate is, and the digest that it was signed with. Errors of
`clients` pass through; the runner makes them errors.
"""

from __future__ import annotations

from collections.abc import Iterator

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, rsa

from mailprov.i18n import N_, _, ngettext
from mailprov.model.findings import Finding
from mailprov.probe.clients import tls
from mailprov.probe.context import PortContext
from mailprov.probe.registry import ALL_PORTS, Scope, probe

_RSA, _CURVE, _FOR_LONG = 2048, 256, 3072  # bits, at least
_OPTIONS = "--key-type ecdsa --elliptic-curve secp256r1"
BROKEN = {"md2", "md4", "md5", "sha1"}


@probe(
    "tls.key",
    Scope.PORT,
    N_("The certificate's key and signature are strong enough"),
    expected=N_("RSA of 2048 bits or more, a curve of 256 bits or more, Ed25519 or Ed448; no SHA-1, no MD5"),
    steps=(
        N_("Do the TLS handshake and take the leaf certificate."),
        N_("Look at its key, and at the digest by which its issuer signed it."),
    ),
    verdicts={
        "pass": N_("strong enough"),
        "fail": N_("a shorter key, one of another kind, or a signature by SHA-1 or MD5"),
        "error": N_("no certificate could be read"),
    },
    refs=("RFC 9325 section 4.5", "CA/Browser Forum Baseline Requirements 6.1.5", "RFC 6194"),
    ports=ALL_PORTS,
    cases={"rsa-below-3072": N_("an RSA key of 2048 to 3071 bits")},
)
def key(context: PortContext) -> Iterator[Finding]:
    der = context.served(context.host, context.address, context.port, tls.looking_context())
    certificate = x509.load_der_x509_certificate(der)
    kind, weak = kind_of(certificate)
    digest = digest_of(certificate)
    observed = _("{key}, signed by {digest}").format(key=kind, digest=digest or _("no digest of its own"))
    advice = _(
        "get a certificate with a key of the curve P-256 (certbot: {options}), signed by SHA-256"
    ).format(options=_OPTIONS)
    # Who signed a certificate for itself is believed, or not, without that signature.
    broken = digest in BROKEN and not tls.Leaf.parse(der).self_signed
    if weak or broken:
        yield context.failed(observed, advice)
    else:
        yield context.passed(observed, case="rsa-below-3072" if _short(certificate) else "")


def _short(certificate: x509.Certificate) -> bool:
    public = certificate.public_key()
    return isinstance(public, rsa.RSAPublicKey) and public.key_size < _FOR_LONG


def kind_of(certificate: x509.Certificate) -> tuple[str, bool]:
    """Its kind and size for people, and whether that is too weak."""
    try:
        public = certificate.public_key()
    except (UnsupportedAlgorithm, ValueError):
        return _("a key of a kind that is not known"), True
    if isinstance(public, rsa.RSAPublicKey):
        return _bits("RSA", public.key_size), public.key_size < _RSA
    if isinstance(public, ec.EllipticCurvePublicKey):
        return _bits(f"ECDSA {public.curve.name}", public.curve.key_size), public.curve.key_size < _CURVE
    if isinstance(public, ed25519.Ed25519PublicKey):
        return "Ed25519", False
    if isinstance(public, ed448.Ed448PublicKey):
        return "Ed448", False
    return type(public).__name__.removesuffix("PublicKey").strip("_"), True


def _bits(name: str, count: int) -> str:
    return ngettext("{type}, {count} bit", "{type}, {count} bits", count).format(type=name, count=count)


def digest_of(certificate: x509.Certificate) -> str:
    """Such as sha256; '' for signatures that have none, as those of Ed25519."""
    try:
        algorithm = certificate.signature_hash_algorithm
    except UnsupportedAlgorithm:
        return certificate.signature_algorithm_oid.dotted_string
    return algorithm.name if algorithm else ""
