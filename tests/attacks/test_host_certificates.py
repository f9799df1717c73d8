"""Certificates of hosts (PROTOCOL.certkeys) that prove nothing: expired, for another name, of another authority, revoked, a
user's, damaged; shown by real OpenSSH servers and, where sshd would not load them, by a server of our own. By mailprov's
own client and by the ssh program.
"""

from __future__ import annotations

import base64
import itertools
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import paramiko
import pytest

from mailprov.model.inventory import Host, SshSettings, Tls, Transport
from mailprov.transport.ssh import certificates
from tests.attacks.hostile_ssh import Hostile
from tests.attacks.test_ssh import BOTH, attempt, said_well
from tests.attacks.tries import Tries, some
from tests.lab.sshd import Sshd, make_key
from tests.lab.test_transport import echo
from tests.lab.test_ways import changed

__all__ = ["echo"]  # a fixture
pytestmark = pytest.mark.usefixtures("echo")

KINDS = ("ed25519", "ecdsa", "rsa")
NAME = "127.0.0.1"
# By fault: who signs, ssh-keygen's options, what known_hosts has (ca, other: the authorities' public keys; at: the place).
FAULTS: dict[str, tuple[str, list[str], str]] = {
    "right": ("ca", ["-h", "-n", NAME], "@cert-authority {at} {ca}"),
    "right, an authority for every host": ("ca", ["-h", "-n", NAME], "@cert-authority * {ca}"),
    "a pattern": ("ca", ["-h", "-n", "127.0.0.*"], "@cert-authority [127.0.0.*]:* {ca}"),
    "another name": ("ca", ["-h", "-n", "mx2.test"], "@cert-authority * {ca}"),
    "a name that begins so": ("ca", ["-h", "-n", NAME + "0"], "@cert-authority * {ca}"),
    "a name that holds it": ("ca", ["-h", "-n", f"x.{NAME}.evil"], "@cert-authority * {ca}"),
    "two other names": ("ca", ["-h", "-n", "a.test,b.test"], "@cert-authority * {ca}"),
    "the name with its port": ("ca", ["-h", "-n", "[127.0.0.1]:2"], "@cert-authority * {ca}"),
    "no name": ("ca", ["-h"], "@cert-authority * {ca}"),
    "expired": ("ca", ["-h", "-n", NAME, "-V", "20200101:20210101"], "@cert-authority * {ca}"),
    "expired a moment ago": ("ca", ["-h", "-n", NAME, "-V", "-1d:-1s"], "@cert-authority * {ca}"),
    "not yet": ("ca", ["-h", "-n", NAME, "-V", "+1d:+2d"], "@cert-authority * {ca}"),
    "a user's": ("ca", ["-n", f"{NAME},root"], "@cert-authority * {ca}"),
    "critical option": (
        "ca",
        ["-h", "-n", NAME, "-O", "critical:force-command=id"],
        "@cert-authority * {ca}",
    ),
    "unknown critical option": (
        "ca",
        ["-h", "-n", NAME, "-O", "critical:x@evil.test=1"],
        "@cert-authority * {ca}",
    ),
    "another authority": ("other", ["-h", "-n", NAME], "@cert-authority * {ca}"),
    "authority for other hosts": ("ca", ["-h", "-n", NAME], "@cert-authority mx2.test {ca}"),
    "authority not for this host": ("ca", ["-h", "-n", NAME], "@cert-authority *,!{at},!127.0.0.1 {ca}"),
    "authority as a plain key": ("ca", ["-h", "-n", NAME], "{at} {ca}"),
    "authority revoked": ("ca", ["-h", "-n", NAME], "@cert-authority * {ca}\n@revoked * {ca}"),
    "authority revoked first": ("ca", ["-h", "-n", NAME], "@revoked * {ca}\n@cert-authority * {ca}"),
    "key revoked": ("ca", ["-h", "-n", NAME], "@cert-authority * {ca}\n@revoked * {key}"),
    "signed by itself": ("self", ["-h", "-n", NAME], "@cert-authority * {ca}"),
    "another key is known": ("other", ["-h", "-n", NAME], "@cert-authority * {ca}\n{at} {strange}"),
    "words in the identity": ("ca", ["-h", "-n", "\x1b]0;owned\x07"], "@cert-authority * {ca}"),
}


class Signed:
    """A server with one host key, whose certificate is signed anew for each try."""

    def __init__(self, folder: Path, kind: str) -> None:
        self.folder, self.kind = folder, kind
        own = Path(tempfile.mkdtemp(dir=folder))
        self.certificate = own / f"host_{kind}-cert.pub"
        self.sshd = Sshd(own, f"HostCertificate {self.certificate}", kinds=(kind,))

    def sign(self, who: str, options: list[str]) -> None:
        signer = self.sshd.host_keys[self.kind] if who == "self" else self.folder / who
        self.certificate.unlink(missing_ok=True)
        subprocess.run(
            [
                "ssh-keygen",
                "-q",
                "-s",
                str(signer),
                "-I",
                "\x1b[2Jid",
                *options,
                f"{self.sshd.host_keys[self.kind]}.pub",
            ],
            check=True,
        )

    def public(self, name: str) -> str:
        return " ".join((self.folder / f"{name}.pub").read_text().split()[:2])


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    made = tmp_path_factory.mktemp("authorities")
    for name in ("ca", "other", "strange"):
        make_key(made / name)
    yield made
    shutil.rmtree(made, ignore_errors=True)


@pytest.fixture(autouse=True)
def home(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("SSH_AUTH_SOCK", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))


def test_certificates_that_prove_nothing(folder: Path, tmp_path: Path, tries: Tries) -> None:
    for kind in KINDS:
        server = Signed(folder, kind)
        for fault in some(list(FAULTS), 8):
            who, options, lines = FAULTS[fault]
            server.sign(who, options)
            known = tmp_path / "known"
            key = server.sshd.line(kind).split(" ", 1)[1]
            known.write_text(
                lines.format(
                    at=f"[{NAME}]:{server.sshd.port}",
                    ca=server.public("ca"),
                    strange=server.public("strange"),
                    key=key,
                )
                + "\n"
            )
            with server.sshd:
                for transport in BOTH:
                    before = server.sshd.log.read_text().count("Accepted")
                    said, _ = attempt(changed(server.sshd.host(known_hosts=known), transport=transport))
                    reached = server.sshd.log.read_text().count("Accepted") > before
                    if fault.startswith("right"):
                        assert said == "", (kind, fault, transport, said)
                        assert reached
                    elif (fault, transport) != (
                        "no name",
                        Transport.OPENSSH,
                    ):  # where ssh decides, it lets that in
                        tries.held((kind, fault, transport), not reached and said_well(said), (reached, said))


def test_a_fitting_plain_key_does_not_heal_a_certificate_of_our_authority(
    folder: Path, tmp_path: Path, tries: Tries
) -> None:
    """An authority that is trusted has signed, and the certificate has run out: it is told, as ssh does, not passed over."""
    server = Signed(folder, "ed25519")
    for options in (["-h", "-n", "mx2.test"], ["-h", "-n", NAME, "-V", "20200101:20210101"]):
        server.sign("ca", options)
        known = tmp_path / "known"
        known.write_text(
            f"@cert-authority * {server.public('ca')}\n@revoked * {server.sshd.line('ed25519').split(' ', 1)[1]}\n"
        )
        with server.sshd:
            for transport in BOTH:
                said, _ = attempt(changed(server.sshd.host(known_hosts=known), transport=transport))
                tries.held((options, transport), said_well(said), said)


def test_damaged_certificates(folder: Path, tries: Tries) -> None:
    """Every octet of a right one changed, and every shorter one: none is a proof, and none raises anything but ValueError."""
    for kind in some(KINDS, 1):
        server = Signed(folder, kind)
        server.sign("ca", ["-h", "-n", NAME])
        blob = base64.b64decode(server.certificate.read_text().split()[1])
        assert certificates.refusal(certificates.parse(blob), NAME) == ""
        step = max(1, len(blob) // 400)
        for position in some(range(0, len(blob), step), 60):
            for what, damaged in (
                ("changed", blob[:position] + bytes([blob[position] ^ 1]) + blob[position + 1 :]),
                ("cut", blob[:position]),
            ):
                tries.held((kind, what, position), not _proves(damaged), position)
        for what, damaged in _lengths(blob):
            tries.held((kind, what), not _proves(damaged), what)


def _proves(blob: bytes) -> bool:
    try:
        return certificates.refusal(certificates.parse(blob), NAME) == ""
    except ValueError:
        return False


def _lengths(blob: bytes) -> Iterator[tuple[str, bytes]]:
    """Fields that claim to be longer than the whole."""
    position = 0
    for number in range(3):
        for claimed in (0, 0x7FFFFFFF, 0xFFFFFFFF):
            yield (
                f"length {number} {claimed}",
                blob[:position] + claimed.to_bytes(4, "big") + blob[position + 4 :],
            )
        position += 4 + int.from_bytes(blob[position : position + 4], "big")
    yield "twice", blob + blob
    yield "nothing", b""


def test_a_key_that_only_looks_certified(folder: Path, tmp_path: Path, tries: Tries) -> None:
    """The certificate of another key is shown: whoever copied it has not the key."""
    for kind, transport in itertools.product(KINDS, BOTH):
        honest = Signed(folder, kind)
        honest.sign("ca", ["-h", "-n", NAME])
        thief = Sshd(
            tmp_path / f"thief-{kind}-{transport.value}",
            f"HostCertificate {tmp_path}/stolen-{kind}.pub",
            kinds=(kind,),
        )
        shutil.copy(honest.certificate, tmp_path / f"stolen-{kind}.pub")
        known = tmp_path / "known"
        known.write_text(f"@cert-authority * {honest.public('ca')}\n")
        with thief:
            said, _ = attempt(changed(thief.host(known_hosts=known), transport=transport))
            tries.held((kind, transport), said_well(said) and "Accepted" not in thief.log.read_text(), said)


def test_users_certificates_go_to_known_hosts_only(folder: Path, tmp_path: Path, tries: Tries) -> None:
    """Our own login certificate is shown to a host that is proven, and to no other."""
    key = make_key(tmp_path / "login")
    subprocess.run(
        ["ssh-keygen", "-q", "-s", str(folder / "ca"), "-I", "me", "-n", "root", f"{key}.pub"], check=True
    )
    for number, transport in enumerate(BOTH):
        server_key = paramiko.PKey.from_path(make_key(tmp_path / f"host{number}"))
        with Hostile(server_key, accepts=("none", "publickey")) as server:
            known = tmp_path / "known"
            for lines in ("", f"@cert-authority * {server_key.get_name()} {server_key.get_base64()}\n"):
                known.write_text(lines)
                settings: dict[str, Any] = {
                    "transport": transport,
                    "identity_file": key,
                    "known_hosts": known,
                }
                said, _ = attempt(changed(_host(server.port), **settings))
                tries.held(
                    (transport, lines[:20]), said_well(said) and not server.heard, (said, server.heard)
                )


def _host(port: int) -> Host:
    return Host(
        "mx1",
        NAME,
        "mx1.test",
        SshSettings(user="root", port=port, ignore_config=True, transport=Transport.BUILTIN),
        Tls(),
    )
