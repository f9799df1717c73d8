"""Private keys in files: read once for a whole run, encrypted ones opened once, certificates beside them.

    Keyring(ask)                    `ask(prompt) -> str | None` asks on the terminal; None: nobody to ask
      .prepare(endpoints)           asks now for what the endpoints will need: no thread asks later
      .load(path, endpoint) -> paramiko.PKey      raises Unusable with the reason
      .variants(key, path, endpoint)              [(label, key)]: with each certificate that fits, then the key alone
    is_encrypted(path), public_part(path)
    default_keys()                  the usual files in ~/.ssh that exist

Opening an encrypted key takes a tenth of a second of one CPU: 200 hosts with one key must not pay it 200 times.
"""

from __future__ import annotations

import base64
import contextlib
import copy
import re
import threading
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from mailprov.i18n import N_, _
from mailprov.transport.endpoint import Endpoint

if TYPE_CHECKING:
    import paramiko

Ask = Callable[[str], str | None]
_NAMES = ("id_ed25519", "id_ecdsa", "id_rsa")
_ATTEMPTS = 3


class Unusable(Exception):
    """A key file that cannot be used; the text says why, for the middle of a sentence."""


class Keyring:
    def __init__(self, ask: Ask | None = None) -> None:
        self._ask = ask or (lambda prompt: None)
        self._lock = threading.Lock()
        self._loaded: dict[tuple[Path, str], paramiko.PKey | Unusable] = {}
        self._passphrases: dict[Path, str] = {}
        self._asked: set[Path] = set()

    def prepare(self, endpoints: Iterable[Endpoint], held_by_agent: Callable[[Endpoint], set[bytes]]) -> None:
        """Ask for the passphrases of encrypted keys that no agent holds and no reference opens."""
        for path in self.unopened(endpoints, held_by_agent):
            self._asked.add(path)
            self._question(path)

    def unopened(
        self, endpoints: Iterable[Endpoint], held_by_agent: Callable[[Endpoint], set[bytes]]
    ) -> Iterator[Path]:
        """The keys that `prepare` would ask about."""
        for endpoint in endpoints:
            for path in self._wanted(endpoint, held_by_agent):
                if path in self._asked or not is_encrypted(path) or endpoint.passphrase is not None:
                    continue
                part = public_part(path)
                if part is None or part not in held_by_agent(endpoint):
                    yield path

    def load(self, path: Path, endpoint: Endpoint) -> paramiko.PKey:
        """The key of a file. Raises Unusable."""
        reference = endpoint.passphrase
        passphrase = self._passphrases.get(path) or (reference.reveal() if reference else "")
        with self._lock:
            kept = self._loaded.get((path, passphrase))
            if kept is None:
                try:
                    kept = _read(path, passphrase)
                except Unusable as error:
                    words = str(error)
                    if words == _WRONG:
                        words = _(_WRONG)
                        if reference is not None:
                            words = _("the passphrase of {origin} does not open it").format(
                                origin=reference.origin
                            )
                    kept = Unusable(words)
                self._loaded[path, passphrase] = kept
        if isinstance(kept, Unusable):
            raise kept
        return kept

    def variants(self, key: paramiko.PKey, path: Path, endpoint: Endpoint) -> list[tuple[str, paramiko.PKey]]:
        """What to offer for one key, in order. A certificate of another key is none of this one's."""
        from mailprov.transport.ssh.certificates import fits

        found = []
        beside = path.with_name(f"{path.name.removesuffix('.pub')}-cert.pub")
        for each in dict.fromkeys((beside, *endpoint.certificates)):
            blob = _line(each)
            if blob is None or not fits(blob, key.asbytes()):
                continue
            certified = _twin(key)
            with contextlib.suppress(Exception):  # paramiko raises many kinds for a damaged one
                certified.load_certificate(str(each))
                found.append((_(" with certificate {path}").format(path=each), certified))
        return [*found, ("", key)]

    def _wanted(self, endpoint: Endpoint, held: Callable[[Endpoint], set[bytes]]) -> list[Path]:
        """Keys that somebody named; a default key only where there is nothing else to try."""
        if endpoint.only_key is not None:
            return [endpoint.only_key]
        if endpoint.keys:
            return [path for path in endpoint.keys if path.exists()]
        usual = default_keys()
        if endpoint.password or held(endpoint) or not all(is_encrypted(path) for path in usual):
            return []
        return usual

    def _question(self, path: Path) -> None:
        for attempt in range(_ATTEMPTS):
            again = _("That did not open it. ") if attempt else ""
            given = self._ask(
                _("{again}Passphrase for {path} (empty: do not use this key): ").format(
                    again=again, path=path
                )
            )
            if not given:
                return
            try:
                key = _read(path, given)
            except Unusable as error:
                if str(error) == _WRONG:
                    continue
                return  # not for want of a passphrase: `load` says what it is
            self._passphrases[path] = given
            self._loaded[path, given] = key
            return


_WRONG = N_("the passphrase does not open it")


def default_keys() -> list[Path]:
    """Those of ~/.ssh/id_* that exist, best first."""
    return [path for name in _NAMES if (path := Path.home() / ".ssh" / name).exists()]


def _read(path: Path, passphrase: str) -> paramiko.PKey:
    import paramiko

    # Without a passphrase the libraries differ in what they raise for an encrypted key.
    if not passphrase and is_encrypted(path):
        raise Unusable(
            _(
                "it is encrypted and the agent does not hold it; run `ssh-add {path}` or give "
                "`ssh.passphrase`"
            ).format(path=path)
        )
    try:
        # As bytes: of the two libraries it goes through, one takes nothing else.
        word = passphrase.encode() if is_encrypted(path) else None
        key = _pkcs8(path, word) or paramiko.PKey.from_path(path, word)  # type: ignore[arg-type]
    except OSError as error:
        raise Unusable(error.strerror or str(error)) from error
    except Exception as error:  # the parsers below paramiko raise many kinds for a file that is no key
        if passphrase and is_encrypted(path):
            raise Unusable(_WRONG) from error
        words = str(error).split("\n")[0] or type(error).__name__
        raise Unusable(_("not a usable private key ({words})").format(words=words[:80])) from error
    key.public_blob = None  # the certificate beside it: `variants` says which to offer
    return key


def _twin(key: paramiko.PKey) -> paramiko.PKey:
    """Another object for the same key, to hold a certificate."""
    from paramiko.agent import AgentKey

    if isinstance(key, AgentKey):  # copy trips over its way to find attributes
        return AgentKey(key.agent, key.blob, key.comment)
    return copy.copy(key)


def _pkcs8(path: Path, word: bytes | None) -> paramiko.PKey | None:
    """The key of a file in OpenSSL's usual format, which paramiko does not read; None for every other format."""
    data = path.read_bytes()
    if not re.match(rb"\s*-----BEGIN (ENCRYPTED )?PRIVATE KEY-----", data):
        return None
    import paramiko
    from cryptography.hazmat.primitives.asymmetric import ec, rsa
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    loaded = load_pem_private_key(data, word)
    if isinstance(loaded, rsa.RSAPrivateKey):
        return paramiko.RSAKey(key=loaded)
    if isinstance(loaded, ec.EllipticCurvePrivateKey):
        return paramiko.ECDSAKey(vals=(loaded, loaded.public_key()))
    return None


def is_encrypted(path: Path) -> bool:
    """By its head, without opening it. False for what is no private key."""
    try:
        text = path.read_text("ascii")
    except (OSError, ValueError):
        return False
    if "ENCRYPTED" in text[:400]:  # PEM (RFC 1421 and PKCS 8)
        return True
    data = _openssh(text)
    return data is not None and not data.startswith(b"openssh-key-v1\0\0\0\0\4none")


def public_part(path: Path) -> bytes | None:
    """The public half of a key file without its passphrase: from the .pub beside it, or OpenSSH's format."""
    beside = _line(path if path.suffix == ".pub" else path.with_name(path.name + ".pub"))
    if beside is not None:
        return beside
    with contextlib.suppress(OSError, ValueError, IndexError):
        data = _openssh(path.read_text())
        if data is not None:
            return _fifth_field(data[15:])
    return None


def _line(path: Path) -> bytes | None:
    """What a file with a public key or a certificate holds, in wire format."""
    with contextlib.suppress(OSError, ValueError, IndexError):
        return base64.b64decode(path.read_text().split()[1], validate=True)
    return None


def _openssh(text: str) -> bytes | None:
    """The binary inside OpenSSH's own format (PROTOCOL.key)."""
    with contextlib.suppress(ValueError, IndexError):
        data = base64.b64decode("".join(text.split("-----")[2].split()))
        if data.startswith(b"openssh-key-v1\0"):
            return data
    return None


def _fifth_field(data: bytes) -> bytes:
    """PROTOCOL.key: cipher, kdf, kdf options, number of keys, then the public key."""
    fields: list[bytes] = []
    while len(fields) < 4:
        length = int.from_bytes(data[:4], "big")
        fields.append(data[4 : 4 + length])
        data = data[4 + length :]
        if len(fields) == 3:
            data = data[4:]
    return fields[3]
