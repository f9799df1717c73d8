"""A tolerant reader of OpenSSH's known_hosts files (sshd(8), SSH_KNOWN_HOSTS FILE FORMAT).

    KEY_TYPES                        host key algorithms, best first
    KnownKey                         one line: for whom, marker, key
    read(paths) -> list[KnownKey]    all lines that can be understood; a bad line never hides the others
    fingerprint(blob)                "SHA256:…" as ssh-keygen -l prints it

Raises nothing for what a file holds; a file that does not exist holds nothing.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
from collections.abc import Iterable
from fnmatch import fnmatchcase
from pathlib import Path
from typing import NamedTuple

KEY_TYPES: tuple[str, ...] = (
    "ssh-ed25519",
    "ecdsa-sha2-nistp256",
    "ecdsa-sha2-nistp384",
    "ecdsa-sha2-nistp521",
    "rsa-sha2-512",
    "rsa-sha2-256",
)


class KnownKey(NamedTuple):
    """One line. `hosts` is the field as written: patterns with commas, or one hashed name."""

    hosts: str
    type: str  # ssh-ed25519, ssh-rsa, …
    blob: bytes  # the key in SSH wire format
    revoked: bool = False
    authority: bool = False  # @cert-authority: vouches for certificates, and for nothing else
    place: str = ""  # file:line

    @property
    def text(self) -> str:
        """The line without its marker."""
        return f"{self.hosts} {self.type} {base64.b64encode(self.blob).decode()}"

    def covers(self, name: str) -> bool:
        """Does the line speak of `name` (Endpoint.lookup_name)? A negated pattern that matches rules it out."""
        if self.hosts.startswith("|"):
            return _hash_matches(self.hosts, name)
        matched = False
        for pattern in self.hosts.lower().split(","):
            # fnmatch would give [ ] a meaning, and ports are written [host]:port
            plain = pattern.removeprefix("!").replace("[", "[[]")
            if fnmatchcase(name, plain):
                if pattern.startswith("!"):
                    return False
                matched = True
        return matched


def fingerprint(blob: bytes) -> str:
    digest = hashlib.sha256(blob).digest()
    return "SHA256:" + base64.b64encode(digest).decode().rstrip("=")


def read(paths: Iterable[Path]) -> list[KnownKey]:
    """The keys of all files, in order."""
    found = []
    for path in paths:
        try:
            text = path.read_bytes().decode("utf-8", "replace")
        except OSError:
            continue
        for number, line in enumerate(text.splitlines(), 1):
            key = _parse(line, f"{path}:{number}")
            if key is not None:
                found.append(key)
    return found


def _parse(line: str, place: str) -> KnownKey | None:
    words = line.split()
    marker = words.pop(0) if words and words[0].startswith("@") else ""
    if marker not in ("", "@revoked", "@cert-authority") or len(words) < 3 or words[0].startswith("#"):
        return None
    hosts, kind, encoded = words[:3]
    try:
        blob = base64.b64decode(encoded, validate=True)
    except (binascii.Error, ValueError):
        return None
    length = int.from_bytes(blob[:4], "big")
    if blob[4 : 4 + length] != kind.encode("utf-8", "replace"):
        return None
    return KnownKey(hosts, kind, blob, marker == "@revoked", marker == "@cert-authority", place)


def _hash_matches(field: str, name: str) -> bool:
    """`|1|salt|HMAC-SHA1(salt, name)`, both base64 (ssh-keygen -H)."""
    try:
        _, version, salt, wanted = field.split("|")
        if version != "1":
            return False
        digest = hmac.new(base64.b64decode(salt), name.encode(), hashlib.sha1).digest()
        return hmac.compare_digest(digest, base64.b64decode(wanted))
    except ValueError:
        return False
