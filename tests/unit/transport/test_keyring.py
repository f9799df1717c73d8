"""Key files: encrypted ones are opened once, asked for once, and never without a reason."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from mailprov.model.secret import Secret
from mailprov.transport.endpoint import Endpoint
from mailprov.transport.ssh import keyring
from mailprov.transport.ssh.keyring import Keyring, Unusable, is_encrypted, public_part

WORD = "correct horse"


def make(path: Path, passphrase: str = "", *more: str) -> Path:
    command = [
        "ssh-keygen",
        "-q",
        "-a",
        "1",  # rounds of bcrypt: a real key's 16 take a quarter of a second each time it is opened
        "-t",
        "ed25519" if not more else "rsa",
        "-N",
        passphrase,
        "-f",
        str(path),
        *more,
    ]
    subprocess.run(command, check=True)
    return path


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("keys")
    make(folder / "plain")
    make(folder / "locked", WORD)
    make(folder / "pem", WORD, "-m", "PEM", "-b", "1024")
    make(folder / "pkcs8", WORD, "-m", "PKCS8", "-b", "1024")
    return folder


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / ".ssh").mkdir()
    return tmp_path / ".ssh"


def place(key: Path | None = None, **more: object) -> Endpoint:
    return Endpoint("mx1", "mx1", "10.0.0.1", 22, "root", only_key=key, **more)  # type: ignore[arg-type]


class Asked:
    def __init__(self, *answers: str | None) -> None:
        self.answers = list(answers)
        self.prompts: list[str] = []

    def __call__(self, prompt: str) -> str | None:
        self.prompts.append(prompt)
        return self.answers.pop(0)


def nothing_held(endpoint: Endpoint) -> set[bytes]:
    return set()


@pytest.mark.parametrize("name", ["locked", "pem", "pkcs8"])
def test_asked_once_for_all_hosts(folder: Path, name: str) -> None:
    asked = Asked(WORD)
    ring = Keyring(asked)
    ring.prepare([place(folder / name)] * 3, nothing_held)
    assert asked.prompts == [f"Passphrase for {folder / name} (empty: do not use this key): "]
    assert ring.load(folder / name, place()).asbytes() == public_part(folder / name)
    assert is_encrypted(folder / name)
    assert not is_encrypted(folder / "plain")


def test_three_times_wrong_then_a_sentence(folder: Path) -> None:
    asked = Asked("a", "b", "c")
    ring = Keyring(asked)
    ring.prepare([place(folder / "locked")], nothing_held)
    assert len(asked.prompts) == 3
    assert asked.prompts[1].startswith("That did not open it. ")
    with pytest.raises(Unusable, match=r"it is encrypted .* `ssh-add .*locked` or give `ssh.passphrase`"):
        ring.load(folder / "locked", place())


def test_not_asked_without_need(folder: Path, home: Path) -> None:
    ring = Keyring(Asked())
    held = public_part(folder / "locked")
    assert held
    ring.prepare([place(folder / "locked")], lambda endpoint: {held})
    ring.prepare([place(folder / "locked", passphrase=Secret("env:P", WORD))], nothing_held)
    ring.prepare([place(folder / "plain"), place(folder / "none")], nothing_held)
    (home / "id_ed25519").write_bytes((folder / "locked").read_bytes())
    ring.prepare([place(password=Secret("env:P", "x"))], nothing_held)
    (home / "id_rsa").write_bytes((folder / "plain").read_bytes())
    ring.prepare([place()], nothing_held)
    asked = Asked(None)
    (home / "id_rsa").unlink()
    Keyring(asked).prepare([place()], nothing_held)
    assert len(asked.prompts) == 1, "a default key is all there is"


def test_a_reference_opens_it_once(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ring = Keyring()
    right = place(passphrase=Secret("env:P", WORD))
    first = ring.load(folder / "locked", right)
    monkeypatch.setattr(keyring, "_read", lambda *words: pytest.fail("read a second time"))
    assert ring.load(folder / "locked", right) is first


def test_a_wrong_reference_is_named_and_not_shown(folder: Path) -> None:
    with pytest.raises(Unusable) as caught:
        Keyring().load(folder / "locked", place(passphrase=Secret("env:P", "wrong word")))
    assert str(caught.value) == "the passphrase of env:P does not open it"


def test_certificates_beside_and_named(folder: Path, tmp_path: Path) -> None:
    key = make(tmp_path / "key")
    other = make(tmp_path / "other")
    authority = make(tmp_path / "ca")
    for each in (key, other):
        subprocess.run(
            ["ssh-keygen", "-q", "-s", authority, "-I", "x", "-n", "root", f"{each}.pub"], check=True
        )
    ring = Keyring()
    loaded = ring.load(key, place())
    assert loaded.public_blob is None
    foreign = place(certificates=(tmp_path / "other-cert.pub",))
    assert [label for label, _ in ring.variants(loaded, key, foreign)] == [
        f" with certificate {key}-cert.pub",
        "",
    ]
    (tmp_path / "key-cert.pub").rename(tmp_path / "elsewhere.pub")
    named = place(certificates=(tmp_path / "elsewhere.pub",))
    (label, certified), (_, plain) = ring.variants(loaded, key, named)
    assert label == f" with certificate {tmp_path}/elsewhere.pub"
    assert certified.public_blob is not None
    assert plain.public_blob is None
