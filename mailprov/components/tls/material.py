"""Keys and certificates of a host: given as files, made on the host, or issued by an authority (certbot.py).

    prepare()                             loads what takes its time to load
    of(build) -> Material                 for Build.made
    material(host, names, dns) -> Material     raises InputError when given files are missing, not PEM, or do not fit

`names` are those of domains that lead here besides the host's own (SNI, RFC 6066 section 3). Given files are checked
before anything is touched: readable, PEM, the key belongs to the first certificate, and that certificate covers all
the names (RFC 9525: the DNS names in subjectAltName count, the common name does not).
"""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from mailprov.components.base import Build
from mailprov.components.dkim import Step
from mailprov.components.tls import certbot
from mailprov.components.web import place
from mailprov.errors import InputError
from mailprov.i18n import _
from mailprov.model.dns import DnsSettings
from mailprov.model.host_state import Certificate, File, Issued
from mailprov.model.hostnames import matches
from mailprov.model.inventory import Challenge, Host, KeyType, TlsMode

FOLDER = "/etc/mailprov/tls"
# For users' programs that do not speak TLS 1.3 yet, best first. Postfix comes to the same by exclusion (main.cf).
TLS12_CIPHERS = ":".join(
    f"ECDHE-{kind}-{cipher}"
    for cipher in ("AES256-GCM-SHA384", "CHACHA20-POLY1305", "AES128-GCM-SHA256")
    for kind in ("ECDSA", "RSA")
)


class Pair(NamedTuple):
    """Paths of a certificate (leaf first) and its key, which may be the same file."""

    certificate: str
    key: str

    @property
    def chain_files(self) -> str:
        """As Postfix lists them: the key, then its certificate (postconf(5) smtpd_tls_chain_files)."""
        return self.key if self.key == self.certificate else f"{self.key}, {self.certificate}"


class Material(NamedTuple):
    """Paths on the host, and how what lies there comes about. ECDSA stands before RSA."""

    pairs: tuple[Pair, ...]  # for the host's own name, and for clients that send no SNI
    names: tuple[tuple[str, tuple[Pair, ...]], ...] = ()  # for who asks for this name
    files: tuple[File, ...] = ()
    certificates: tuple[Certificate, ...] = ()
    issued: tuple[Issued, ...] = ()
    web: tuple[
        tuple[tuple[str, ...], tuple[Pair, ...]], ...
    ] = ()  # on port 443, for who asks for these names

    @property
    def watched(self) -> tuple[str, ...]:
        """The files whose change makes daemons reload; what an authority issues is the deploy hook's business."""
        pairs = [*self.pairs, *(pair for __, each in self.names for pair in each)]
        paths = dict.fromkeys(path for pair in pairs for path in (pair.certificate, pair.key))
        theirs = {each.path for each in self.issued}
        return tuple(path for path in paths if path not in theirs)


def key_types(host: Host) -> tuple[str, ...]:
    """The keys to make, in the order in which they are offered."""
    return ("ecdsa", "rsa") if host.tls.key_type is KeyType.BOTH else (host.tls.key_type.value,)


def served_paths(host: Host) -> tuple[str, ...]:
    """The certificates for the host's own name, as `material` has them, without reading any file."""
    if host.tls.mode is TlsMode.FILES:
        return (f"{FOLDER}/{host.fqdn}.crt",)
    made = certbot.path if host.tls.mode is TlsMode.ACME else _self_signed
    return tuple(made(host.fqdn, kind) for kind in key_types(host))


def _self_signed(name: str, kind: str) -> str:
    # Under names of its own: else a given certificate, still good for the name, would stay after a change of mode.
    return f"{FOLDER}/{name}.self-signed{'' if kind == 'ecdsa' else f'-{kind}'}.crt"


def of(build: Build) -> Material:
    rotation = build.rotation
    rotate = ""
    if rotation is not None and rotation.certificates:
        rotate = "prepare" if rotation.step is Step.PUBLISH else "switch"
    names = build.inventory.mail_names(build.host.name)
    serves = place.serves(build)
    made = material(build.host, names, build.inventory.dns, rotate, web=serves)
    return _for_web(build, made) if serves else made


def _for_web(build: Build, made: Material) -> Material:
    """With what the web server shows for the names of domains that lead here. What is given or made on the host is for
    the host's own names: there the host's is shown.
    """
    from mailprov.model import web  # few hosts have a web server

    host, dns = build.host, build.inventory.dns
    if host.tls.mode is not TlsMode.ACME:
        return made
    issued: list[Issued] = []
    for domain in build.domains:
        if web.host_of(build.inventory, domain) is not host:
            continue
        for mail_name in domain.names:
            names = web.names_below(build.inventory, domain, mail_name)
            if host.tls.acme.challenge is Challenge.DNS:  # the host has the key of one provider alone
                own = dns.at(host.fqdn).provider
                names = tuple(name for name in names if dns.at(name).provider == own)
            issued += certbot.issued_for_web(host, mail_name, names, dns)
    shown = tuple((each.names, (Pair(each.path, each.path),)) for each in issued)
    return made._replace(issued=(*made.issued, *issued), web=shown)


def given_key(host: Host) -> str:
    """Mode files: the key of the certificate, as model/tls_keys.py has it. Raises InputError."""
    import hashlib

    from cryptography import x509
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

    made = _given(host, ()).files[0].content
    public = x509.load_pem_x509_certificate(made.encode("ascii")).public_key()
    return hashlib.sha256(public.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)).hexdigest()


def material(
    host: Host,
    names: tuple[str, ...] = (),
    dns: DnsSettings = DnsSettings(),
    rotate: str = "",
    *,
    web: bool = False,
) -> Material:
    """What the host's TLS needs. Reads the certificate and key files of mode `files`, nothing else. `rotate`: as in
    Certificate and Issued.
    """
    others = tuple(name for name in names if name != host.fqdn)
    if host.tls.mode is TlsMode.FILES:
        return _given(host, others)
    made: dict[str, tuple[Pair, ...]] = {}
    certificates: list[Certificate] = []
    issued: list[Issued] = []
    for name in (host.fqdn, *others):
        pairs = []
        for kind in key_types(host):
            if host.tls.mode is TlsMode.ACME:
                issued.append(certbot.issued(host, name, kind, dns, rotate, web=web))
                pairs.append(Pair(issued[-1].path, issued[-1].path))
                continue
            certificate = _self_signed(name, kind)
            key = certificate.removesuffix("crt") + "key"
            certificates.append(Certificate((name,), certificate, key, key_type=kind, rotate=rotate))
            pairs.append(Pair(certificate, key))
        made[name] = tuple(pairs)
    return Material(
        made[host.fqdn],
        tuple((name, made[name]) for name in others),
        certificates=tuple(certificates),
        issued=tuple(issued),
    )


def _given(host: Host, others: tuple[str, ...]) -> Material:
    certificate, key = f"{FOLDER}/{host.fqdn}.crt", f"{FOLDER}/{host.fqdn}.key"
    where = f"host {host.name}"
    if host.tls.certificate is None or host.tls.key is None:
        raise InputError(where, _("tls mode files needs both certificate and key"), _("Name the two files"))
    chain, private = _read(where, host.tls.certificate), _read(where, host.tls.key)
    _check(where, host, chain, private, (host.fqdn, *others))
    # One certificate for all names: nothing to choose by SNI.
    return Material(
        (Pair(certificate, key),),
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
        raise InputError(
            where,
            _("cannot read {path}: {reason}").format(path=path, reason=reason),
            _("Check the path under tls"),
        ) from None
    if not data.isascii():
        raise InputError(
            where,
            _("{path} is not PEM").format(path=path),
            _("Give a text file with -----BEGIN …----- lines"),
        )
    return data


def prepare() -> None:
    """Loads what given files are checked with."""
    from cryptography import x509  # noqa: F401


def _check(where: str, host: Host, chain: bytes, private: bytes, needed: tuple[str, ...]) -> None:
    # Imported here: cryptography is slow to load, and most hosts have no files to check.
    from cryptography import x509
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_private_key

    certificate_path, key_path = host.tls.certificate, host.tls.key
    try:
        certificates = x509.load_pem_x509_certificates(chain)
    except ValueError:
        raise InputError(
            where,
            _("{path} holds no PEM certificate").format(path=certificate_path),
            _("Give the host's certificate, leaf first"),
        ) from None
    try:
        key = load_pem_private_key(private, password=None)
    except TypeError:
        raise InputError(
            where,
            _("the key {path} is encrypted, and the daemons could not start without someone typing").format(
                path=key_path
            ),
            _("Give it without a passphrase (openssl pkey)"),
        ) from None
    except (ValueError, UnsupportedAlgorithm):
        raise InputError(
            where,
            _("{path} holds no PEM private key").format(path=key_path),
            _("Give the certificate's key"),
        ) from None

    spki = key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    fits = [
        item.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo) == spki
        for item in certificates
    ]
    if not fits[0]:
        advice = (
            _("Put the host's certificate first, then the intermediates")
            if any(fits)
            else _("Give its own key")
        )
        raise InputError(
            where,
            _("the key {key} does not belong to the first certificate in {certificate}").format(
                key=key_path, certificate=certificate_path
            ),
            advice,
        )
    try:
        names = certificates[0].extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        dns_names = names.get_values_for_type(x509.DNSName)
    except x509.ExtensionNotFound:
        dns_names = []
    for wanted in needed:
        if not any(matches(name, wanted) for name in dns_names):
            seen = ", ".join(dns_names) or _("no DNS name")
            advice = (
                _("Get one whose subjectAltName holds the host's fqdn")
                if wanted == host.fqdn
                else _("Get one whose subjectAltName holds that name, too, or drop the domain's mail_name")
            )
            raise InputError(
                where,
                _("the certificate {path} is for {names}, and not for {wanted}").format(
                    path=certificate_path, names=seen, wanted=wanted
                ),
                advice,
            )
