"""Certificates given as files: real ones, made here, right and wrong in one way each."""

from __future__ import annotations

import datetime
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    KeySerializationEncryption,
    NoEncryption,
    PrivateFormat,
)
from desired_cases import host

from mailprov.components.tls import certbot
from mailprov.components.tls import material as tls
from mailprov.components.web.place import WEBROOT
from mailprov.errors import InputError
from mailprov.model.dns import DnsSettings
from mailprov.model.inventory import Acme, Challenge, KeyType, Tls, TlsMode


def certificate(key: ec.EllipticCurvePrivateKey, *names: str) -> bytes:
    now = datetime.datetime(2026, 1, 1, tzinfo=datetime.timezone.utc)
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "mx1.alpha.test")])
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now)
        .not_valid_after(now + datetime.timedelta(days=90))
    )
    if names:
        builder = builder.add_extension(x509.SubjectAlternativeName([x509.DNSName(n) for n in names]), False)
    return builder.sign(key, hashes.SHA256()).public_bytes(Encoding.PEM)


def pem(key: ec.EllipticCurvePrivateKey, how: KeySerializationEncryption | None = None) -> bytes:
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, how or NoEncryption())


KEY, OTHER = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
LEAF = certificate(KEY, "mx1.alpha.test")
ISSUER = certificate(OTHER, "ca.test")


def given(folder: Path, chain: bytes | None, key: bytes | None) -> tls.Material:
    for name, data in (("chain.pem", chain), ("key.pem", key)):
        if data is not None:
            (folder / name).write_bytes(data)
    settings = Tls(TlsMode.FILES, folder / "chain.pem", folder / "key.pem")
    return tls.material(host(tls=settings))


@pytest.mark.parametrize("chain", [LEAF, LEAF + ISSUER, certificate(KEY, "x.test", "*.alpha.test")])
def test_good_files_become_file_entries(tmp_path: Path, chain: bytes) -> None:
    found = given(tmp_path, chain, pem(KEY))
    public, private = found.files
    assert (public.path, public.mode, public.secret) == (
        "/etc/mailprov/tls/mx1.alpha.test.crt",
        "0644",
        False,
    )
    assert (private.path, private.mode, private.secret) == (
        "/etc/mailprov/tls/mx1.alpha.test.key",
        "0600",
        True,
    )
    assert (private.owner, private.group) == ("root", "root")
    assert public.content.encode() == chain
    assert private.content.encode() == pem(KEY)
    assert found.pairs == (tls.Pair(public.path, private.path),)
    assert not found.certificates


@pytest.mark.parametrize(
    ("chain", "key", "words"),
    [
        (None, pem(KEY), "cannot read .*chain.pem: No such file"),
        (LEAF, None, "cannot read .*key.pem: No such file"),
        (b"\x30\x82\xff", pem(KEY), "chain.pem is not PEM"),
        (b"hello\n", pem(KEY), "chain.pem holds no PEM certificate"),
        (pem(KEY), pem(KEY), "chain.pem holds no PEM certificate"),
        (LEAF.replace(b"MII", b"XXX", 1), pem(KEY), "chain.pem holds no PEM certificate"),
        (LEAF, LEAF, "key.pem holds no PEM private key"),
        (LEAF, pem(KEY, BestAvailableEncryption(b"pw")), "key.pem is encrypted"),
        (LEAF, pem(OTHER), "does not belong to the first certificate.*Give its own key"),
        (ISSUER + LEAF, pem(KEY), "does not belong to the first certificate.*certificate first"),
        (certificate(KEY, "mx2.alpha.test"), pem(KEY), "is for mx2.alpha.test, and not for mx1.alpha.test"),
        (certificate(KEY, "*.test"), pem(KEY), "and not for mx1.alpha.test"),
        (certificate(KEY), pem(KEY), "is for no DNS name"),  # a common name is not enough (RFC 9525)
    ],
)
def test_each_fault_is_one_sentence(
    tmp_path: Path, chain: bytes | None, key: bytes | None, words: str
) -> None:
    with pytest.raises(InputError, match=words) as caught:
        given(tmp_path, chain, key)
    assert "host mx1: " in str(caught.value)
    assert "\n" not in str(caught.value)
    assert "PRIVATE KEY" not in str(caught.value)


def test_self_signed_is_made_on_the_host() -> None:
    found = tls.material(host())
    (made,) = found.certificates
    assert made.names == ("mx1.alpha.test",)
    assert found.pairs == (tls.Pair(made.certificate, made.key),)
    assert found.watched == (made.certificate, made.key)
    assert not found.files


def test_a_name_of_its_own_and_keys_of_both_kinds() -> None:
    found = tls.material(host(tls=Tls(key_type=KeyType.BOTH)), ("mail.beta.test", "mx1.alpha.test"))
    assert [(made.names, made.key_type) for made in found.certificates] == [
        (("mx1.alpha.test",), "ecdsa"),
        (("mx1.alpha.test",), "rsa"),
        (("mail.beta.test",), "ecdsa"),
        (("mail.beta.test",), "rsa"),
    ]
    ((name, pairs),) = found.names
    paths = [path for pair in (*found.pairs, *pairs) for path in (pair.certificate, pair.key)]
    assert (name, len(set(paths)), set(found.watched)) == ("mail.beta.test", 8, set(paths))


def test_a_given_certificate_must_be_for_all_names(tmp_path: Path) -> None:
    (tmp_path / "chain.pem").write_bytes(certificate(KEY, "mx1.alpha.test"))
    (tmp_path / "key.pem").write_bytes(pem(KEY))
    on = host(tls=Tls(TlsMode.FILES, tmp_path / "chain.pem", tmp_path / "key.pem"))
    with pytest.raises(InputError, match=r"and not for mail\.beta\.test"):
        tls.material(on, ("mail.beta.test",))


def test_what_an_authority_issues_is_no_file_of_ours() -> None:
    found = tls.material(host(tls=Tls(TlsMode.ACME)))
    (issued,) = found.issued
    assert found.pairs == (tls.Pair(issued.path, issued.path),)
    assert found.pairs[0].chain_files == issued.path
    assert found.watched == ()


def test_where_a_web_server_has_port_80_certbot_answers_by_its_folder() -> None:
    on = host(tls=Tls(TlsMode.ACME))
    alone, behind = (tls.material(on, web=web).issued[0] for web in (False, True))
    assert (alone.authenticator, alone.webroot) == ("standalone", "")
    assert (behind.authenticator, behind.webroot) == ("webroot", WEBROOT)
    assert "--standalone" not in behind.arguments
    assert behind.arguments[behind.arguments.index("--webroot-path") + 1] == WEBROOT
    assert "--reuse-key" in behind.arguments
    (hook, *__) = certbot.files(on, DnsSettings(), (behind,), web=True)
    alone_hook = certbot.files(on, DnsSettings(), (alone,))[0].content
    assert "nginx" not in alone_hook
    added = hook.content.split('case "$target" in\n')[1].split("esac\n")[0]
    rest = hook.content.replace(f'case "$target" in\n{added}esac\n', "")
    assert rest.startswith(alone_hook)
    assert "systemctl reload nginx.service\n  exit 0" in added
    assert hook.content.endswith(
        f"# answers of the authority's challenges: {WEBROOT}\nsystemctl reload nginx.service\n"
    )
    by_dns = host(tls=Tls(TlsMode.ACME, acme=Acme(challenge=Challenge.DNS)))
    assert certbot.webroot(by_dns, web=True) == ""
