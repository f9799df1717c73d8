"""Certificates as ssh-keygen makes them: what they prove, and what not."""

from __future__ import annotations

import base64
import subprocess
from pathlib import Path

import pytest

from mailprov.transport.ssh import certificates


def make(folder: Path, name: str, kind: str = "ed25519") -> Path:
    bits = ["-b", "2048"] if kind == "rsa" else []
    path = folder / name
    subprocess.run(["ssh-keygen", "-q", "-t", kind, *bits, "-N", "", "-f", str(path)], check=True)
    return path


def blob(path: Path) -> bytes:
    return base64.b64decode(path.read_text().split()[1])


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("certificates")
    for kind in ("ed25519", "ecdsa", "rsa"):
        make(folder, f"ca-{kind}", kind)
        make(folder, kind, kind)
    return folder


def sign(
    folder: Path, *options: str, key: str = "ed25519", authority: str = "ca-ed25519"
) -> certificates.Certificate:
    target = folder / key
    signing = ["ssh-keygen", "-q", "-s", str(folder / authority), "-I", "id", *options, f"{target}.pub"]
    subprocess.run(signing, check=True)
    return certificates.parse(blob(Path(f"{target}-cert.pub")))


@pytest.mark.parametrize("key", ["ed25519", "ecdsa", "rsa"])
@pytest.mark.parametrize("authority", ["ca-ed25519", "ca-ecdsa", "ca-rsa"])
def test_a_good_one_of_every_kind(folder: Path, key: str, authority: str) -> None:
    made = sign(folder, "-h", "-n", "mx1,mx1.alpha.test,*.beta.test", key=key, authority=authority)
    assert made.key == blob(folder / f"{key}.pub")
    assert made.authority == blob(folder / f"{authority}.pub")
    assert certificates.refusal(made, "mx1") == ""
    assert certificates.refusal(made, "Mx1.Alpha.test") == ""
    assert certificates.refusal(made, "mx2") == "it is for mx1, mx1.alpha.test, *.beta.test, not for mx2"
    assert certificates.refusal(made, "mx2.beta.test") != "", "no pattern, as for ssh"
    assert certificates.fits(blob(folder / f"{key}-cert.pub"), blob(folder / f"{key}.pub"))
    assert not certificates.fits(blob(folder / f"{key}-cert.pub"), blob(folder / "ca-rsa.pub"))


def test_times_and_kinds(folder: Path) -> None:
    late = sign(folder, "-h", "-n", "mx1", "-V", "20200101:20210101")
    assert certificates.refusal(late, "mx1").startswith("it has expired on 20")
    early = sign(folder, "-h", "-n", "mx1", "-V", "20990101:21000101")
    assert certificates.refusal(early, "mx1").startswith("it is not valid before 209")
    assert certificates.refusal(early, "mx1", now=4083955200) == ""
    assert (
        certificates.refusal(sign(folder, "-n", "mx1"), "mx1") == "it is a user's certificate, not a host's"
    )
    assert certificates.refusal(sign(folder, "-h"), "mx1") == "it is for no name, not for mx1"


def test_every_flipped_bit_is_seen(folder: Path) -> None:
    sign(folder, "-h", "-n", "mx1")
    whole = blob(folder / "ed25519-cert.pub")
    for position in range(0, len(whole), 3):
        broken = bytearray(whole)
        broken[position] ^= 1
        try:
            made = certificates.parse(bytes(broken))
        except ValueError:
            continue
        assert certificates.refusal(made, "mx1") or made.authority != blob(folder / "ca-ed25519.pub"), (
            position
        )


def test_what_is_no_certificate(folder: Path) -> None:
    for wrong in (b"", b"\0\0\0\4", blob(folder / "rsa.pub"), b"\0\0\0\1x"):
        with pytest.raises(ValueError, match=r"certificate|cut off"):
            certificates.parse(wrong)
        assert not certificates.fits(wrong, b"")
