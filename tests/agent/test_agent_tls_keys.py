"""What the agent tells of the keys of certificates, that a renewal keeps them, and how a new one comes into service."""

from __future__ import annotations

import hashlib
import subprocess
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization

from mailprov.agent import files
from mailprov.agent.resources import acme, certificates, tls_keys
from tests.agent.test_agent_acme import NAME, SPEC, lineage

FOLDER = "etc/mailprov/tls"
CUT = b"-----BEGIN CERTIFICATE-----\nMIIBpDCCAUmgAwIBAgI=\n-----END CERTIFICATE-----\n"
PATH = f"/{FOLDER}/{NAME}.acme.pem"


@pytest.fixture(scope="module")
def pairs(tmp_path_factory: pytest.TempPathFactory) -> list[tuple[bytes, bytes]]:
    """Certificate and key: of ECDSA, of another, and RSA."""
    folder = str(tmp_path_factory.mktemp("made"))
    return [
        certificates.make({"names": [NAME], "days": 90, "key_type": kind}, folder)
        for kind in ("ecdsa", "ecdsa", "rsa")
    ]


def spki(certificate: bytes) -> str:
    public = x509.load_pem_x509_certificate(certificate).public_key()
    der = public.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    return hashlib.sha256(der).hexdigest()


def test_a_digest_is_that_of_the_public_key(pairs: list[tuple[bytes, bytes]]) -> None:
    for certificate, key in pairs:
        assert tls_keys.digest(certificate) == tls_keys.digest(key + certificate) == spki(certificate)
    for broken in (None, b"", b"text", pairs[0][0][:200], CUT, pairs[0][1]):
        assert tls_keys.digest(broken) == ""


def test_what_is_told(root: Path, pairs: list[tuple[bytes, bytes]]) -> None:
    assert tls_keys.facts(files.Tree(str(root))) == {"served": {}, "next": {}}
    tree = lineage(root, *pairs[0])
    folder = root / FOLDER
    (folder / "mx1.crt").write_bytes(pairs[1][0])
    assert tls_keys.facts(tree) == {"served": {}, "next": {}}  # nobody can serve that without its key
    (folder / "mx1.key").write_bytes(pairs[1][1])
    (folder / "mx1.crt.next").write_bytes(b"".join(pairs[2]))
    (folder / f"{NAME}.acme.pem").write_bytes(pairs[0][1] + pairs[0][0])
    (folder / "mx9.acme.pem").write_bytes(pairs[0][1] + pairs[0][0])  # until it is issued
    one, two, three = (spki(certificate) for certificate, key in pairs)
    crt = f"/{FOLDER}/mx1.crt"
    assert tls_keys.facts(tree) == {"served": {crt: two, PATH: one}, "next": {crt: three}}
    state: dict[str, Any] = {"certificates": [], "issued": [], "files": []}
    pair = {"certificate": crt, "key": crt.replace("crt", "key")}
    assert tls_keys.after(tree, {**state, "certificates": [pair]}) == {crt: two}
    assert tls_keys.after(tree, {**state, "certificates": [{**pair, "rotate": "switch"}]}) == {crt: three}
    assert tls_keys.after(tree, {**state, "certificates": [{**pair, "certificate": "/x.crt"}]}) == {}
    given = {"path": f"/{FOLDER}/given.crt", "content": pairs[2][0].decode()}
    assert tls_keys.after(tree, {**state, "files": [given]}) == {given["path"]: three}
    # certbot has issued with another key, which is to be served now, or once it is time.
    (root / "etc/letsencrypt/live" / NAME / "fullchain.pem").write_bytes(pairs[2][0])
    assert tls_keys.after(tree, {**state, "issued": [SPEC | {"path": PATH}]}) == {PATH: three}
    (folder / f"{NAME}.acme.pem.hold").write_bytes(b"")
    assert tls_keys.after(tree, {**state, "issued": [SPEC | {"path": PATH}]}) == {PATH: one}
    assert tls_keys.facts(tree)["next"] == {crt: three, PATH: three}


@pytest.mark.parametrize("kind", ["ecdsa", "rsa"])
def test_a_renewed_certificate_has_the_same_key(kind: str, tmp_path: Path) -> None:
    spec = {"names": [NAME], "days": 90, "key_type": kind}
    before = certificates.make(spec, str(tmp_path))
    again = certificates.make({**spec, "names": [NAME, "mail.alpha.test"]}, str(tmp_path), before[1])
    assert again[0] != before[0]
    assert again[1] == before[1]
    assert spki(again[0]) == spki(before[0])
    assert spki(certificates.make(spec, str(tmp_path))[0]) != spki(before[0])


def test_a_new_key_waits_until_it_is_switched(root: Path, pairs: list[tuple[bytes, bytes]]) -> None:
    """certbot has issued with it; neither an apply nor certbot's hook puts it into service before."""
    tree = lineage(root, *pairs[1])
    served, live = root / PATH[1:], root / "etc/letsencrypt/live" / NAME
    served.write_bytes(pairs[0][1] + pairs[0][0])
    spec = SPEC | {"path": PATH}
    assert acme.need(tree, spec).todo == "deploy"
    hold = root / f"{PATH[1:]}.hold"
    hold.write_bytes(b"")
    assert acme.need(tree, spec).todo == ""
    assert acme.need(tree, spec | {"rotate": "prepare"}).todo == ""  # done already
    assert acme.need(tree, spec | {"rotate": "switch"}).todo == "switch"
    hook = _hook(root)
    env = {"RENEWED_LINEAGE": str(live), "PATH": f"{root}/bin:/usr/bin:/bin"}
    assert subprocess.run([str(hook)], env=env, check=False).returncode == 0
    assert served.read_bytes() == pairs[0][1] + pairs[0][0]
    # A renewal of the certificate that is served goes on as ever.
    renewed = certificates.make({"names": [NAME], "days": 90}, str(root), pairs[0][1])[0]
    (live / "fullchain.pem").write_bytes(renewed)
    (live / "privkey.pem").write_bytes(pairs[0][1])
    assert acme.need(tree, spec).todo == "deploy"
    assert subprocess.run([str(hook)], env=env, check=False).returncode == 0
    assert served.read_bytes() == pairs[0][1] + renewed


def _hook(root: Path) -> Path:
    """The deploy hook, for this folder, with a systemctl that does nothing."""
    golden = Path(__file__).parents[1] / "golden/acme/etc/letsencrypt/renewal-hooks/deploy/mailprov"
    text = golden.read_text().replace("/etc/", f"{root}/etc/")
    (root / "bin").mkdir()
    (root / "bin/systemctl").write_text("#!/bin/sh\n")
    hook = root / "hook"
    hook.write_text(text)
    for each in (hook, root / "bin/systemctl"):
        each.chmod(0o755)
    return hook
